"""First sight of rosbag2 recordings: the topics of the first bag, and who is in their messages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vdd_ros.bag import header_stamp_ns
from vdd_ros.datasets.bags import (
    ARRAY,
    JOINT_STATE,
    TRAJECTORY,
    TYPES,
    bags_in,
    decoded,
    opened_bag,
)
from vdd_ros.datasets.bounded import require_bounded
from vdd_ros.datasets.sight import Pair, Row, Sight, between, declaration
from vdd_ros.datasets.source import OPEN


def look_at_rosbag2(path: Path, joints: Sequence[str]) -> Sight:
    """Topics with types, counts, rates, and of joints their names and ranges."""
    bags = bags_in(path)
    told = [f"rosbag2, {len(bags)} bags, {bags[0].name} is shown"]
    with opened_bag(bags[0]) as reader:
        types = {one.topic: one.msgtype for one in reader.connections}
        messages: dict[str, list[tuple[int, bytes]]] = {topic: [] for topic in sorted(types)}
        total = 0
        for connection, received_ns, data in reader.messages():
            kept = bytes(data) if connection.msgtype in TYPES else b""
            require_bounded(f"{bags[0]}: what it says of joints", total := total + len(kept))
            messages[connection.topic].append((received_ns, kept))
    rows = tuple(_row(topic, types[topic], found) for topic, found in messages.items())
    for topic, found in messages.items():
        if types[topic] in (JOINT_STATE, TRAJECTORY) and found:
            late = np.array([received - header_stamp_ns(data) for received, data in found]) * 1e-9
            told.append(
                f"{topic} was received {between(late.min(), late.max())} s after its stamps"
            )
    return Sight(tuple(told), rows, _declaration(path, len(bags), rows, joints))


def _row(topic: str, kind: str, found: list[tuple[int, bytes]]) -> Row:
    steps = np.diff([received for received, _ in found]) * 1e-9
    middle = float(np.median(steps)) if len(steps) else 0.0
    rate_hz = 1.0 / middle if middle > 0.0 else None
    if kind not in TYPES or not found:
        return Row(topic, kind, (), len(found), rate_hz)
    names: tuple[str, ...] = ()
    values: list[np.ndarray] = []
    for at, (_, data) in enumerate(found):
        message = decoded(topic, at, kind, data)
        if kind == ARRAY:
            position = message.data
        elif kind == TRAJECTORY:
            names = tuple(message.joint_names)
            position = message.points[-1].positions if message.points else np.zeros(0)
        else:
            names, position = tuple(message.name), message.position
        values.append(position)
    size = len(values[0])
    same = np.array([value for value in values if len(value) == size], dtype=np.float64)
    low, high = (tuple(same.min(0).tolist()), tuple(same.max(0).tolist())) if size else ((), ())
    return Row(topic, kind, (size,), len(found), rate_hz, names, low, high)


def _declaration(path: Path, count: int, rows: tuple[Row, ...], joints: Sequence[str]) -> str:
    """A channel for every name of the first joint states; which topic commands nobody sees."""
    state = next((row for row in rows if row.kind == JOINT_STATE and row.names and row.low), None)
    if state is None:
        return ""
    pairs = [
        Pair(name, name, between(low, high))
        for name, low, high in zip(state.names, state.low, state.high, strict=True)
    ]
    layout = {
        "kind": "rosbag2",
        "state": {"topic": state.key, "time": OPEN},
        "command": {"topic": OPEN, "time": OPEN},
    }
    return declaration(layout, path.resolve().name, count, None, pairs, joints)
