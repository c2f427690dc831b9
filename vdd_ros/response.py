"""How long after its command a joint moves, from what was recorded: the lag at which the speed of
the command and that of the joint correlate best."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.episode import StreamData

GRID_S = 0.005
LONGEST_S = 0.5
ENOUGH_S = 120.0  # of a recording, from its beginning
LEAST_MOTION = 0.02  # share of its range that a joint is told to move
LEAST_CORRELATION = 0.8  # below which there is no one lag


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
    end = min(int(one.stamps_ns.max()) for one in (command, state))
    times_s = np.arange(0.0, min((end - begin) * 1e-9, ENOUGH_S), GRID_S)
    if len(times_s) < 4 * round(LONGEST_S / GRID_S):
        return {}
    asked, done = (_on_grid(one, begin, times_s) for one in (command, state))
    found = {}
    for index, joint in enumerate(contract.joints):
        if np.ptp(asked[:, index]) < LEAST_MOTION * (joint.upper - joint.lower):
            continue
        lag = _lag(np.diff(asked[:, index]), np.diff(done[:, index]))
        if lag is not None:
            found[joint.name] = round(lag * GRID_S, 4)
    return found


def _on_grid(data: StreamData, begin_ns: int, times_s: np.ndarray) -> np.ndarray:
    """(T, Da) positions, linearly interpolated; a message that is not finite is left out."""
    fine = np.isfinite(data.fields["position"]).all(axis=1)
    stamps_s = (data.stamps_ns[fine] - begin_ns) * 1e-9
    order = np.argsort(stamps_s, kind="stable")
    columns = data.fields["position"][fine][order].T
    return np.stack([np.interp(times_s, stamps_s[order], one) for one in columns], axis=-1)


def _lag(asked: np.ndarray, done: np.ndarray) -> float | None:
    """In steps of the grid, between two of them by a parabola through the peak and its
    neighbours."""
    most = round(LONGEST_S / GRID_S)
    kept = len(asked) - most
    asked = asked[:kept]
    with np.errstate(invalid="ignore", divide="ignore"):  # where one of them stands still
        found = np.array([np.corrcoef(asked, done[lag : lag + kept])[0, 1] for lag in range(most)])
    peak = int(np.argmax(found)) if np.isfinite(found).all() else 0
    if not 0 < peak < most - 1 or found[peak] < LEAST_CORRELATION:
        return None
    before, at, after = found[peak - 1 : peak + 2]
    return peak + (before - after) / (2 * (before - 2 * at + after))
