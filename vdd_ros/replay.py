"""Replay: recorded samples through the very code that serves the robot, window for window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.episode import StreamData
from vdd_ros.stream import Aligner, Window


def replay_windows(
    contract: Contract,
    streams: Mapping[str, StreamData],
    ticks_ns: Sequence[int] | np.ndarray,
    n_obs_steps: int,
) -> list[Window | None]:
    """The window at each tick [ns, ROS clock, increasing], as a live policy would have seen it.

    None at ticks before every observed stream had its first sample, as live. A sample that was
    received at exactly the tick counts as known.
    """
    if np.any(np.diff(ticks_ns) < 0):
        raise ValueError("ticks_ns must not decrease: time runs forward")
    aligner = Aligner(contract, n_obs_steps)
    observed = sorted({part.stream for part in contract.observation})
    arrivals = sorted(
        (arrival for name in observed for arrival in _arrivals(name, streams[name])),
        key=lambda arrival: arrival[-1],
    )
    windows: list[Window | None] = []
    fed = 0
    for tick_ns in map(int, ticks_ns):
        while fed < len(arrivals) and arrivals[fed][-1] <= tick_ns:
            aligner.add(*arrivals[fed])
            fed += 1
        windows.append(aligner.window(tick_ns))
    return windows


def _arrivals(name: str, data: StreamData) -> list[tuple[str, dict[str, np.ndarray], int, int]]:
    """The arguments of `Aligner.add`, one tuple a sample; the last is when it was received."""
    rows = [{field: values[i] for field, values in data.fields.items()} for i in range(len(data))]
    return list(
        zip(
            [name] * len(data),
            rows,
            data.stamps_ns.tolist(),
            data.received_ns.tolist(),
            strict=True,
        )
    )
