"""PickingOperator: a scripted person who picks up blocks and puts them down."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from vdd_ros.sim.demonstrators.table import Aim, Script, TableOperator
from vdd_ros.sim.tasks.blocks import HALF

WRIST_YAW = math.pi / 2  # [rad] of the tool where the wrist has as much way to either side
ABOVE = (0.090, 0.115)  # [m] of the tool over the table before it comes down
GRASP = (HALF - 0.001, HALF + 0.005)  # [m] of the tool when it closes
CARRY = (0.115, 0.150)  # [m] of the tool over the table on its way with a block
OVER = 0.05  # [m] at least between a block's way and where it is put down
RISE = 0.09  # [m] of the hand after it let go, before it goes elsewhere
AIM_STD, TURN_STD = 0.004, 0.04  # [m, rad]
MISJUDGED = 0.12  # of all grasps close on nothing: a policy has to see how one tries again
BESIDE = (0.036, 0.046)  # [m] by which such a one is beside the block, where no finger meets it
TRAVEL_SPEED, NEAR_SPEED = 0.32, 0.16  # [m/s]
ROUND = 0.025  # [m] by which a corner of the way is cut
GRIP = 0.40  # opening that is asked for: 6 mm narrower than a block, which gives 6 N
GRIPPED, RELEASED = 0.62, 0.85  # openings at which the fingers have met a block or let it go
HELD_M = 0.02  # a block this far up is in the hand
ASTRAY_M = 0.045  # a block farther from where it was let go slipped or fell


class PickingOperator(TableOperator):
    """Comes from above, closes on the block, and tries again where it slipped."""

    gripper = "PandaHand"

    def bring(
        self, block: str, spot: Callable[[], np.ndarray], height: float, turned: bool = True
    ) -> Script:
        """Until a block's centre is over a spot (2,) [m], let go at this height over the table [m];
        turned: grasped as the block lies, else as the wrist is at ease."""
        while True:
            yield from self._pick(block, turned)
            if self.pose(block).position[2] > HALF + HELD_M:
                yield from self._put(spot, height)
                astray = self.pose(block).position - np.append(spot(), height)
                if np.linalg.norm(astray) < ASTRAY_M:
                    return

    def _pick(self, block: str, turned: bool) -> Script:
        miss, turn = self.stray(AIM_STD), float(self.stray(TURN_STD, 1)[0])
        yaw = WRIST_YAW + turn + (quarter(self.pose(block).yaw) if turned else 0.0)
        if self.rng.random() < MISJUDGED:
            beside = self.rng.choice((-1.0, 1.0)) * self.rng.uniform(*BESIDE)
            miss += beside * np.array([math.sin(yaw), -math.cos(yaw)])  # across the fingers' way
        above, grasp, carry = (self.rng.uniform(*span) for span in (ABOVE, GRASP, CARRY))

        def over(height: float) -> np.ndarray:
            return np.append(self.pose(block).position[:2] + miss, height)

        yield from self.go(lambda: over(above), yaw, 1.0, TRAVEL_SPEED, ROUND)
        yield from self.go(lambda: over(grasp), yaw, 1.0, NEAR_SPEED)
        where = self.tip.copy()
        while self.seen.joints[7] > GRIPPED:
            yield Aim(where, yaw, GRIP)
        self._held = turned_by(-self.yaw, self.pose(block).position - where)  # in the hand
        yield from self.go(lambda: np.append(where[:2], carry), yaw, GRIP, TRAVEL_SPEED, ROUND)

    def _put(self, spot: Callable[[], np.ndarray], height: float) -> Script:
        """Carry what the hand holds, let it go, and rise."""
        yaw = WRIST_YAW + float(self.stray(TURN_STD, 1)[0])
        held = turned_by(yaw, self._held)
        carry = max(self.tip[2], height + OVER)

        def over(z: float) -> np.ndarray:
            return np.append(spot() - held[:2], z)

        yield from self.go(lambda: over(carry), yaw, GRIP, TRAVEL_SPEED, ROUND)
        yield from self.go(lambda: over(height - held[2]), yaw, GRIP, NEAR_SPEED)
        where = self.tip.copy()
        while self.seen.joints[7] < RELEASED:
            yield Aim(where, yaw, 1.0)
        rise = np.append(where[:2], where[2] + RISE)
        yield from self.go(lambda: rise, yaw, 1.0, TRAVEL_SPEED, ROUND)


def quarter(angle: float) -> float:
    """The same angle of a cube, within an eighth of a turn [rad]."""
    return (angle + math.pi / 4) % (math.pi / 2) - math.pi / 4


def turned_by(angle: float, vector: np.ndarray) -> np.ndarray:
    """(3,) the vector after a turn about z by an angle [rad]."""
    x, y, z = vector
    c, s = math.cos(angle), math.sin(angle)
    return np.array([c * x - s * y, s * x + c * y, z])
