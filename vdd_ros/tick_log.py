"""TickLog: every sample that came in and every tick, so that a live run can be replayed offline.

The file is an .npz. For each stream S of the observation: `S.received_ns`, `S.stamp_ns` (N,),
`S.tick` (N,), how many ticks came before the sample, and `S.<field>` (N, joints). For the ticks:
`tick_ns` (M,), `window` (M, To, Do) and `command` (M, Da), NaN where there was none.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from vdd_ros.tick_result import TickResult


class TickLog:
    """Kept in memory while the loop runs; `save` writes it whole."""

    def __init__(self, n_obs_steps: int, observation_dim: int, n_joints: int):
        self._no_window = np.full((n_obs_steps, observation_dim), np.nan)
        self._no_command = np.full(n_joints, np.nan)
        self._samples: dict[str, list[tuple]] = {}
        self._ticks: list[tuple] = []

    def add(
        self, stream: str, fields: dict[str, np.ndarray], stamp_ns: int, received_ns: int
    ) -> None:
        """Note a sample in the order in which the loop took it."""
        row = (received_ns, stamp_ns, len(self._ticks), fields)
        self._samples.setdefault(stream, []).append(row)

    def tick(self, result: TickResult) -> None:
        """Note what a tick saw and sent."""
        window = self._no_window if result.window is None else result.window.values
        command = self._no_command if result.output is None else result.output.position
        self._ticks.append((result.tick_ns, window, command))

    def save(self, path: Path) -> None:
        """Write everything noted so far."""
        arrays: dict[str, Any] = {}
        for stream, rows in self._samples.items():
            received_ns, stamp_ns, tick, fields = zip(*rows, strict=True)
            arrays[f"{stream}.received_ns"] = np.array(received_ns, dtype=np.int64)
            arrays[f"{stream}.stamp_ns"] = np.array(stamp_ns, dtype=np.int64)
            arrays[f"{stream}.tick"] = np.array(tick, dtype=np.int64)
            for field in set.intersection(*(set(values) for values in fields)):
                arrays[f"{stream}.{field}"] = np.array([values[field] for values in fields])
        arrays["tick_ns"] = np.array([tick[0] for tick in self._ticks], dtype=np.int64)
        windows = np.array([tick[1] for tick in self._ticks])
        arrays["window"] = windows.reshape(-1, *self._no_window.shape)
        commands = np.array([tick[2] for tick in self._ticks])
        arrays["command"] = commands.reshape(-1, *self._no_command.shape)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            np.savez(file, **arrays)
