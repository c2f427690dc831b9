"""A scripted person who grasps one of two cubes and lifts it."""

from __future__ import annotations

import numpy as np

from vdd_ros.sim.demonstrators.table import Aim, Script, TableOperator
from vdd_ros.sim.tasks.blocks import HALF
from vdd_ros.sim.tasks.lift_choice import LiftChoice
from vdd_ros.sim.tasks.lift_one import LiftOne

ABOVE = (0.09, 0.12)  # [m] over the table before the hand comes down
GRASP = (0.016, 0.026)  # [m] of the middle of the fingers' pads
LIFT = (0.15, 0.18)  # [m]
AIM_STD, TURN_STD = 0.004, 0.05  # [m, rad]
DOWN_SPEED = 0.15  # [m/s]
GRIPPED = 0.62  # opening at which the fingers have met the cube, which is 0.56 wide
SLIPPED_M = 0.05  # a cube below this, when the hand is up, is not in it
ATTEMPTS = 3
# [rad] yaw of the hand that closes along the cube's x axis and along its y axis
SIDES = (np.pi, np.pi / 2)


class LiftChoiceOperator(TableOperator):
    """Comes from above, and tries again where the cube slipped."""

    gripper = "PandaHand"

    def script(self, mode: int) -> Script:
        """Mode as `LiftChoice` declares it."""
        yield from self.lift(LiftChoice.objects[mode // 2], SIDES[mode % 2])

    def lift(self, cube: str, side: float) -> Script:
        """Until a cube is up; side: yaw [rad] of the hand where a cube is not turned."""
        for _ in range(ATTEMPTS):
            yield from self._lift(cube, side)
            if self.pose(cube).position[2] > HALF + SLIPPED_M:
                return

    def _lift(self, cube: str, side: float) -> Script:
        miss, turn = self.stray(AIM_STD), float(self.stray(TURN_STD, 1)[0])
        yaw = self.pose(cube).yaw + side + turn
        above, grasp, up = (self.rng.uniform(*span) for span in (ABOVE, GRASP, LIFT))

        def over(height: float) -> np.ndarray:
            return np.append(self.pose(cube).position[:2] + miss, height)

        yield from self.go(lambda: over(above), yaw, within=0.015)
        yield from self.go(lambda: over(grasp), yaw, speed=DOWN_SPEED)
        held = self.tip.copy()
        yield from self._close(held, yaw)
        yield from self.go(lambda: np.append(held[:2], up), yaw, opening=0.0)

    def _close(self, where: np.ndarray, yaw: float) -> Script:
        """Until the fingers meet something."""
        while self.seen.joints[7] > GRIPPED:
            yield Aim(where, yaw, 0.0)


class LiftOneOperator(LiftChoiceOperator):
    """Lifts the one cube, fingers along its y axis, as the hand begins."""

    def script(self, mode: int) -> Script:
        """There is one way."""
        yield from self.lift(LiftOne.objects[0], SIDES[1])
