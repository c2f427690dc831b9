"""Lift-one: the hand lifts the one cube on the table, wherever that lies. There is no choice.

The smallest task that cannot be done without knowing where something is.
"""

from __future__ import annotations

import numpy as np

from vdd_ros.sim.tasks.blocks import HALF
from vdd_ros.sim.tasks.lift_choice import LiftChoice

X, Y = (
    (0.43, 0.57),
    (-0.10, 0.10),
)  # [m] of the cube's centre: all of it is seen by the hand's camera
TURN = 0.25  # [rad] at most, either way


class LiftOne(LiftChoice):
    """The cube 10 cm up."""

    # [rad] Hand over the middle, fingers along y
    start_q = np.array([0.0486, -0.115, -0.049, -2.532, -0.0085, 2.4171, 0.7922])
    time_limit_s = 8.0
    n_modes = 1
    contexts = 100
    objects: tuple[str, ...] = ("cube",)

    def place(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Anywhere in a rectangle under the hand."""
        turned = rng.uniform(-TURN, TURN)
        return {"cube": np.array([rng.uniform(*X), rng.uniform(*Y), HALF, turned])}

    def mode(self) -> int | None:
        """There is one way, however it is grasped; none before that."""
        return None if super().mode() is None else 0
