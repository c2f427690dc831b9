"""How long after its command a joint moves, from what was recorded: the lag between the two."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.episode import StreamData
from vdd_ros.lag import GRID_S, NoLag, Signal, find_lag, signal

LONGEST_S = 0.5
ENOUGH_S = 120.0  # of a recording, from its beginning
LEAST_MOTION = 0.02  # share of its range that a joint is told to move


def responses_s(
    contract: Contract, streams: Mapping[str, StreamData], commands: str | None = None
) -> dict[str, float]:
    """By joint [s], of joints that moved and followed; empty where a stream is missing. commands:
    the stream of what it is to follow, the robot's own where none is named."""
    names = commands or contract.action.stream, "joint_state"
    command, state = (streams.get(name) for name in names)
    if command is None or state is None or min(len(command), len(state)) < 2:
        return {}
    begin = max(int(one.stamps_ns.min()) for one in (command, state))
    asked, done = (_beginning(one, begin) for one in (command, state))
    found = {}
    for index, joint in enumerate(contract.joints):
        if np.ptp(asked.values[:, index]) < LEAST_MOTION * (joint.upper - joint.lower):
            continue
        led, seen = (Signal(one.times_s, one.values[:, [index]]) for one in (asked, done))
        try:
            found[joint.name] = round(find_lag(led, seen, 0.0, LONGEST_S).seconds, 4)
        except NoLag:
            continue
    return found


def _beginning(data: StreamData, begin_ns: int) -> Signal:
    """Positions, no closer together than the grid of lags."""
    whole = signal(data.stamps_ns, data.fields["position"], begin_ns)
    _, first = np.unique((whole.times_s / GRID_S).astype(np.int64), return_index=True)
    kept = first[whole.times_s[first] <= ENOUGH_S]
    return Signal(whole.times_s[kept], whole.values[kept])
