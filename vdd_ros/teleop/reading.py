"""Reading: what a device said at one moment, whatever device it is."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np


class Reading(NamedTuple):
    """wish: what the motion of the device takes: a leader's joints (Da,) [unit], a twist (6,) [m/s,
    rad/s] or joint velocities (Da,) [unit/s]; wanted: whether the clutch is closed, None for a
    device without one, which is engaged by moving it; grip: 0 close, 1 open, None neither; let_go:
    send nothing any more; in_tool: the twist is told in the tool's frame, not the base."""

    wish: np.ndarray
    wanted: bool | None = None
    grip: float | None = None
    let_go: bool = False
    in_tool: bool = False

    @property
    def moves(self) -> bool:
        """Whether somebody moves a device that tells speeds."""
        return bool(self.wish.any()) or self.grip is not None


class Motion(Protocol):
    """How readings become targets; one of a leader, of twists, of joint velocities."""

    def begin(self, position: np.ndarray, reading: Reading) -> None:
        """The clutch was closed at a reading, with the follower at `position` (Da,) [unit]."""

    def step(self, position: np.ndarray, reading: Reading, dt: float) -> np.ndarray:
        """The target (Da,) that comes `dt` [s] after the target `position` (Da,)."""

    def rest(self, position: np.ndarray, dt: float) -> np.ndarray:
        """The same while nobody moves it: as `position` (Da,) once it has come to rest."""
