"""Replay: recorded samples through the very code that serves the robot, window for window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.episode import StreamData
from vdd_ros.stream import Aligner, Window


class Times(Protocol):
    """When the pictures of a camera were taken and received, as `CameraImages` has it."""

    stamps_ns: np.ndarray
    received_ns: np.ndarray


def replay_windows(
    contract: Contract,
    streams: Mapping[str, StreamData],
    ticks_ns: Sequence[int] | np.ndarray,
    n_obs_steps: int,
    cameras: Mapping[str, Times] | None = None,
) -> list[Window | None]:
    """The window at each tick [ns, ROS clock, increasing], as a live policy would have seen it.

    None at ticks before every observed stream had its first sample, as live. A sample that was
    received at exactly the tick counts as known. cameras: those of the contract's images, by name;
    the value of an image is the number of its picture among them, and none is decoded.
    """
    if np.any(np.diff(ticks_ns) < 0):
        raise ValueError("ticks_ns must not decrease: time runs forward")
    aligner = Aligner(contract, n_obs_steps)
    observed = sorted({part.stream for part in contract.observation})
    arrivals = sorted(
        (arrival for name in observed for arrival in _arrivals(name, streams[name])),
        key=lambda arrival: arrival[-1],
    )
    pictures = sorted(
        (
            (image.name, number, *times)
            for image in contract.images
            for number, times in enumerate(_times((cameras or {})[image.camera]))
        ),
        key=lambda picture: picture[-1],
    )
    windows: list[Window | None] = []
    fed = shown = 0
    for tick_ns in map(int, ticks_ns):
        while fed < len(arrivals) and arrivals[fed][-1] <= tick_ns:
            aligner.add(*arrivals[fed])
            fed += 1
        while shown < len(pictures) and pictures[shown][-1] <= tick_ns:
            aligner.add_image(*pictures[shown])
            shown += 1
        windows.append(aligner.window(tick_ns))
    return windows


def _times(camera: Times) -> list[tuple[int, int]]:
    return list(zip(camera.stamps_ns.tolist(), camera.received_ns.tolist(), strict=True))


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
