"""Lift-choice: the hand lifts one of two equal cubes, which it may grasp along either axis.

Which cube, and across which pair of its faces, is a free choice: four modes.
"""

from __future__ import annotations

import numpy as np
from robosuite.models.objects import BoxObject, MujocoObject

from vdd_ros.sim.tasks.blocks import DENSITY, HALF
from vdd_ros.sim.tasks.table_task import TableTask

LIFTED_M = 0.10  # of its lower face over the table
GRASPED_M = 0.02  # a cube this far up is in the hand for good
X, Y = (0.42, 0.58), (0.08, 0.20)  # [m] of the cubes' centres, y to either side
TURN = 0.25  # [rad] at most, either way
BELOW_TABLE_M = -0.05


class LiftChoice(TableTask):
    """Either cube 10 cm up. Mode: 2 for the right cube, plus 1 for fingers along its y axis."""

    gripper_type, has_gripper = "PandaHand", True
    # [rad] Hand over the middle, turned halfway between the two ways to grasp a cube
    start_q = np.array([0.0486, -0.115, -0.049, -2.532, -0.0085, 2.4171, 0.0068])
    time_limit_s = 15.0
    n_modes = 4
    objects: tuple[str, ...] = ("left_cube", "right_cube")
    achieved = "lifted"

    def things(self) -> list[MujocoObject]:
        """Cubes that nothing but their place tells apart."""
        return [
            BoxObject(name, size=[HALF] * 3, density=DENSITY, rgba=[0.75, 0.45, 0.2, 1])
            for name in self.objects
        ]

    def place(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """One cube on either side."""
        return {
            name: np.array(
                [rng.uniform(*X), side * rng.uniform(*Y), HALF, rng.uniform(-TURN, TURN)]
            )
            for name, side in zip(self.objects, (1.0, -1.0), strict=True)
        }

    def _setup_references(self):
        super()._setup_references()
        self._cubes = [self._bodies[name] for name in self.objects]
        hand = self.robots[0].gripper["right"]
        self._grip = self.sim.model.site_name2id(hand.important_sites["grip_site"])

    def begin(self) -> None:
        """Nothing is grasped."""
        self._mode: int | None = None

    def _heights(self) -> list[float]:
        """Of the cubes' lower faces over the table [m]."""
        z, rest = self.sim.data._data.xpos[self._cubes, 2], self.table_origin[2] + HALF
        return (z - rest).tolist()

    def fault(self, tool: np.ndarray) -> str | None:
        """A cube that fell down cannot be lifted any more."""
        return "a cube fell off the table" if min(self._heights()) < BELOW_TABLE_M else None

    def progress(self, tool: np.ndarray) -> int:
        """1 while a cube is up."""
        heights = self._heights()
        highest = max(heights)
        if highest < GRASPED_M:
            self._mode = None
        elif self._mode is None:
            cube = heights.index(highest)
            self._mode = 2 * cube + self._axis(cube)
        return int(highest >= LIFTED_M)

    def _axis(self, cube: int) -> int:
        """Along which of a cube's axes the fingers close: 0 x, 1 y."""
        data = self.sim.data._data
        fingers = data.site_xmat[self._grip].reshape(3, 3)[:, 0]  # they move along the site's x
        along = data.xmat[self._cubes[cube]].reshape(3, 3).T @ fingers
        return int(abs(along[1]) > abs(along[0]))

    def mode(self) -> int | None:
        """Which cube is in the hand, and how it was grasped."""
        return self._mode
