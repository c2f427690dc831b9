"""Lift: robosuite's own task; the gripper lifts a cube off a table.

The scene can be put where a recorded demonstration began, so that its commands can be replayed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from robosuite.environments.manipulation.lift import Lift as RobosuiteLift

from vdd_ros.sim.tasks.status import Status

HOLD_S = 0.25  # as long as this off the table is lifted
TIME_LIMIT_S = 60.0  # people take up to half a minute


class Lift(RobosuiteLift):
    """The scene and its verdict; reset and stepped by `vdd_ros.sim.env.RobosuiteEnv`."""

    sim: Any  # robosuite leaves it untyped and empty until the model is loaded
    gripper_type, has_gripper = "PandaHand", True
    time_limit_s = TIME_LIMIT_S
    objects: tuple[str, ...] = ()
    n_modes = 1
    contexts = 20

    def _reset_internal(self):
        super()._reset_internal()
        self._up_since_s: float | None = None
        self._verdict: Status | None = None

    def watch(self, time_s: float, tool: np.ndarray) -> None:
        """Take in one physics step: its time [s] and the tool's tip (3,) [m, base frame]."""
        if self._verdict:
            return
        if not self._check_success():  # robosuite's: the cube is 4 cm above the table
            self._up_since_s = None
        elif self._up_since_s is None:
            self._up_since_s = time_s
        if self._up_since_s is not None and time_s - self._up_since_s >= HOLD_S:
            self._verdict = Status(True, True, None, "lifted", 1)
        elif time_s >= self.time_limit_s:
            self._verdict = Status(False, True, None, "not lifted in time")

    def poses(self) -> np.ndarray:
        """(0, 7): nothing is observed."""
        return np.zeros((0, 7))

    @property
    def status(self) -> Status:
        """The verdict, or that the episode is still running."""
        return self._verdict or Status(False, False, None, "running")
