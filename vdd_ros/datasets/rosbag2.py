"""Reads rosbag2 recordings of others, MCAP and SQLite, through rosbags.

A declared topic is measured positions, another commands; every message keeps its own time. What is
checked of them are frames: one at each command, with the positions that were known then.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vdd_ros.bag import RawMessage, header_stamp_ns
from vdd_ros.camera_images import CAMERAS
from vdd_ros.datasets.bags import ARRAY, TRAJECTORY, TYPES, bags_in, decoded, opened_bag
from vdd_ros.datasets.bounded import require_bounded
from vdd_ros.datasets.formats import Rosbag2Format, TopicColumns
from vdd_ros.datasets.recording import OneAtATime, Recording, Track, Tracks
from vdd_ros.datasets.source import Source
from vdd_ros.errors import UserError

PICTURES = f"{CAMERAS}/"


def read_rosbag2(path: Path, source: Source, layout: Rosbag2Format) -> OneAtATime[Recording]:
    """One recording per bag, which is read when it is asked for; then UserError is raised where it
    is not what was declared."""
    bags = bags_in(path)
    if source.episodes not in (None, len(bags)):
        raise UserError(
            f"{path} holds {len(bags)} bags, the source declares {source.episodes}: restore what "
            f"is missing or correct the number"
        )
    return OneAtATime(len(bags), lambda number: _read(bags[number], source, layout))


def _read(path: Path, source: Source, layout: Rosbag2Format) -> Recording:
    with opened_bag(path) as reader:
        types = {one.topic: one.msgtype for one in reader.connections}
        topics = {layout.state.topic, layout.command.topic, *layout.as_is.values()}
        for topic in sorted(topics):
            if topic not in types:
                raise UserError(
                    f"{path} has no topic {topic!r}, there are {', '.join(sorted(types))}; correct "
                    f"the declaration"
                )
        messages: dict[str, list[tuple[int, bytes]]] = {topic: [] for topic in topics}
        sent = {one.topic for one in reader.connections if one.msgcount}
        wanted, total = [one for one in reader.connections if one.topic in topics], 0
        for connection, received_ns, data in reader.messages(connections=wanted):
            require_bounded(f"{path}: what is declared of it", total := total + len(data))
            messages[connection.topic].append((received_ns, bytes(data)))
        counts = dict.fromkeys(topics, 0)
        for one in wanted:
            counts[one.topic] += one.msgcount
    for topic, count in counts.items():
        if len(messages[topic]) != count:
            raise UserError(
                f"{path} says that {topic} has {count} messages, {len(messages[topic])} are there: "
                f"restore it, or make its metadata anew with `ros2 bag reindex`"
            )
    used = {
        "state": [channel.state.name for channel in source.channels],
        "command": [channel.command.name for channel in source.channels],
    }
    tracks = Tracks(
        state=_track(path, layout.state, used["state"], source, types, messages),
        command=_track(path, layout.command, used["command"], source, types, messages),
        others=_others(layout, types, messages),
    )
    pictures = [PICTURES] if (path / CAMERAS).is_dir() else []
    return _framed(path, layout, tracks, (*sorted(sent - topics), *pictures))


def _track(
    path: Path,
    topic: TopicColumns,
    used: list[str],
    source: Source,
    types: dict[str, str],
    messages: dict[str, list[tuple[int, bytes]]],
) -> Track:
    """One topic's messages as columns; those that lack one, as where two publishers share a topic,
    are no samples."""
    kind, where = types[topic.topic], f"{path}, {topic.topic}"
    if kind not in TYPES:
        raise UserError(
            f"{where} is of type {kind}, read are {', '.join(TYPES)}: name another topic"
        )
    if kind == ARRAY and (topic.names is None or topic.time == "header"):
        raise UserError(
            f"{where} is of type {kind}, which has neither names nor a header: declare names, and "
            f"time: receive"
        )
    seen: set[str] = set()
    positions, velocities, samples, incomplete = [], [], [], []
    for at, (received_ns, data) in enumerate(messages[topic.topic]):
        names, position, velocity = _joints(where, at, kind, topic, data)
        seen |= set(names)
        if len(position) != len(names) or not set(used) <= set(names):
            incomplete.append((received_ns, data))
            continue
        order = [names.index(name) for name in used]
        has_velocity = len(velocity) == len(names)
        positions.append(position[order])
        velocities.append(velocity[order] if has_velocity else np.full(len(used), np.nan))
        samples.append((received_ns, data))
    _require_known(where, used, seen, source)
    if not samples:
        raise UserError(
            f"{where} has no message with positions of every declared joint: name another topic, "
            f"or leave the bag out"
        )
    received = np.array([at for at, _ in samples], dtype=np.int64)
    stamps_ns = received
    if topic.time == "header":
        stamps_ns = np.array([header_stamp_ns(data) for _, data in samples], dtype=np.int64)
    return Track(
        kind,
        stamps_ns,
        received,
        dict(zip(used, np.array(positions, dtype=np.float64).T, strict=True)),
        dict(zip(used, np.array(velocities, dtype=np.float64).T, strict=True)),
        tuple(data for _, data in samples),
        tuple(incomplete),
    )


def _joints(
    where: str, at: int, kind: str, topic: TopicColumns, data: bytes
) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Names, positions and velocities of one message."""
    message, nothing = decoded(where, at, kind, data), np.zeros(0)
    if kind == ARRAY:
        return topic.names or (), message.data, nothing
    if kind == TRAJECTORY:
        names = tuple(message.joint_names)
        if not message.points:
            return names, nothing, nothing
        return names, message.points[-1].positions, message.points[-1].velocities
    return tuple(message.name), message.position, message.velocity


def _require_known(where: str, used: list[str], seen: set[str], source: Source) -> None:
    """Every declared column is in some message, and every other one ignored."""
    unknown = sorted(set(used) - seen)
    undeclared = sorted(seen - set(used) - set(source.ignored))
    if isinstance(source.format, Rosbag2Format) and source.format.other_joints == "ignored":
        undeclared = []
    if seen and (unknown or undeclared):
        raise UserError(
            f"{where}: its names are not those declared: not declared {undeclared}, not in the bag "
            f"{unknown}; declare every joint with its unit, once, or name it under ignored (all: "
            f"other_joints: ignored)"
        )


def _others(
    layout: Rosbag2Format, types: dict[str, str], messages: dict[str, list[tuple[int, bytes]]]
) -> tuple[RawMessage, ...]:
    """Messages that go into streams of the contract as they are."""
    others = []
    for stream, topic in layout.as_is.items():
        has_header = types[topic] != ARRAY
        for received_ns, data in messages[topic]:
            published_ns = header_stamp_ns(data) if has_header else received_ns
            others.append(RawMessage(stream, data, received_ns, published_ns))
    return tuple(others)


def _framed(
    path: Path, layout: Rosbag2Format, tracks: Tracks, not_read: tuple[str, ...]
) -> Recording:
    """A recording with a frame at each command that came after a state."""
    state, command = tracks.state, tracks.command
    order = np.argsort(state.stamps_ns, kind="stable")
    held = np.searchsorted(state.stamps_ns[order], command.stamps_ns, side="right") - 1
    known = np.flatnonzero(held >= 0)
    rows = order[held[known]]
    first_ns = int(command.stamps_ns[known[0]]) if len(known) else 0
    lacking = ((layout.state.topic, state), (layout.command.topic, command))
    return Recording(
        name=path.stem,
        where=str(path),
        times_s=(command.stamps_ns[known] - first_ns) * 1e-9,
        state={name: values[rows] for name, values in state.columns.items()},
        command={name: values[known] for name, values in command.columns.items()},
        tracks=tracks,
        not_read=not_read,
        notes=tuple(
            f"{len(track.incomplete)} messages of {topic} lack a joint"
            for topic, track in lacking
            if track.incomplete
        ),
    )
