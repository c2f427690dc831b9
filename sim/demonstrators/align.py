"""A scripted person who pushes an open frame to a target pose with a fork."""

from __future__ import annotations

import numpy as np

from vdd_ros.sim.demonstrators.fork import BACK, along, turn_between, yaw_of
from vdd_ros.sim.demonstrators.table import Aim, Script, TableOperator
from vdd_ros.sim.tasks.align import HALF, INNER, INSIDE

PRONG = 0.007  # [m] radius
PUSH_SPEED, LAST_SPEED = 0.10, 0.06  # [m/s] along the line, and at its end
LOW, OVER = 0.012, 0.075  # [m] of the fork's tip above the table, pushing and carried
HEIGHT_STD, AIM_STD = 0.004, 0.004  # [m] by which a hand differs from what it aims at
AHEAD = 0.03  # [m] a hand looks ahead on its line
BEND = 12.0  # [1/m] the tightest curve that a pushed frame follows
NEAR = 0.002  # [m] still to go, where one stops
GOOD, GOOD_YAW = 0.014, 0.12  # [m, rad] off the target; who is farther off tries again
TRIES = 3


class AlignOperator(TableOperator):
    """Comes down behind the frame or into it, square to its walls, and leads it along a curve."""

    gripper = "ForkGripper"
    sway = 0.003  # with more the fork slips off the frame or over it

    def script(self, mode: int) -> Script:
        """mode: from inside, or from outside."""
        # From the frame's centre to the fork, along the frame's own y: where it comes down, and
        # where it touches the wall that it pushes.
        if mode == INSIDE:
            down, touch, back = -0.005, INNER[1] - PRONG, 0.0
        else:
            down, touch, back = -(HALF[1] + PRONG + 0.025), -(HALF[1] + PRONG), BACK
        for _ in range(TRIES):
            yield from self._come_down(down)
            yield from self._push(touch)
            yield from self._leave(back)
            if self._aligned():
                return

    def _aligned(self) -> bool:
        frame, target = self.pose("frame"), self.pose("target")
        off = np.linalg.norm(target.position[:2] - frame.position[:2])
        return bool(off < GOOD and abs(turn_between(frame.yaw, target.yaw)) < GOOD_YAW)

    def _come_down(self, offset: float) -> Script:
        miss = self.stray(AIM_STD)
        over = OVER + float(self.stray(HEIGHT_STD, 1)[0])
        low = LOW + abs(float(self.stray(HEIGHT_STD, 1)[0]))
        frame = self.pose("frame")

        def above(height: float) -> np.ndarray:
            frame = self.pose("frame")
            return np.append(frame.position[:2] + offset * along(frame.yaw) + miss, height)

        yield from self.go(lambda: above(over), frame.yaw, within=0.008)
        yield from self.go(lambda: above(low), frame.yaw, within=0.005)

    def _push(self, touch: float) -> Script:
        """The frame goes where the fork goes: always on the smooth curve from where it is now to
        the target, both ends in the direction of the frame's own y there."""
        low = self.tip[2]
        while True:
            frame, target = self.pose("frame"), self.pose("target")
            left = target.position[:2] - frame.position[:2]
            if left @ along(target.yaw) < AHEAD:
                break
            bend = np.clip(bend_to(left, frame.yaw, target.yaw), -BEND, BEND)
            centre = frame.position[:2] + AHEAD * along(frame.yaw + bend * AHEAD / 2)
            yaw = frame.yaw + bend * AHEAD
            yield Aim(np.append(centre + touch * along(yaw), low), yaw, speed=PUSH_SPEED)
        target = self.pose("target")
        last = np.append(target.position[:2] + touch * along(target.yaw), low)
        yield from self.go(lambda: last, target.yaw, speed=LAST_SPEED, within=NEAR)

    def _leave(self, back: float) -> Script:
        top = self.tip - np.append(back * along(self.yaw), 0.0)
        top[2] = OVER
        yield from self.go(lambda: top, self.yaw, within=0.02)


def bend_to(left: np.ndarray, yaw: float, wanted: float) -> float:
    """How a line curves [1/m] at the beginning of the cubic that goes `left` (2,) [m] and turns
    from one yaw to the other [rad]."""
    straight = yaw_of(left)
    first, last = turn_between(straight, yaw), turn_between(straight, wanted)
    return -(4.0 * first + 2.0 * last) / max(float(np.linalg.norm(left)), 0.02)
