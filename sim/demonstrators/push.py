"""A scripted person who pushes two blocks to two targets with a fork."""

from __future__ import annotations

import numpy as np

from vdd_ros.sim.demonstrators.fork import BACK, along, yaw_of
from vdd_ros.sim.demonstrators.table import Aim, Script, TableOperator
from vdd_ros.sim.tasks.deliveries import BLOCKS
from vdd_ros.sim.tasks.push import HALF, TARGETS

PUSH_SPEED = 0.15  # [m/s]
LOW = 0.014  # [m] of the fork's tip above the table while it pushes
OVER = 0.085  # [m] while it is carried over a block
HEIGHT_STD, AIM_STD = 0.005, 0.006  # [m] by which a hand differs from what it aims at
BEHIND = HALF[1] + 0.035  # [m] from a block's centre, where the fork comes down
NEAR = 0.010  # [m] from the target's centre is good enough
TURNED = 0.03  # [m] nearer than this to the target, nobody turns any more
TRIES = 4


class PushOperator(TableOperator):
    """Brings one block after the other; comes behind it again if it was lost on the way."""

    gripper = "ForkGripper"

    def script(self, mode: int) -> Script:
        """mode: 2 x the first block + the target it is brought to."""
        block, target = divmod(mode, 2)
        yield from self._bring(BLOCKS[block], TARGETS[target])
        yield from self._bring(BLOCKS[1 - block], TARGETS[1 - target])

    def _bring(self, block: str, target: np.ndarray) -> Script:
        aim = target + self.stray(AIM_STD)
        for _ in range(TRIES):
            yield from self._come_behind(block, aim)
            yield from self._push(block, aim)
            yield from self._draw_back()
            if np.linalg.norm(aim - self.pose(block).position[:2]) < 2.0 * NEAR:
                return

    def _come_behind(self, block: str, target: np.ndarray) -> Script:
        """Over whatever is in between, then down."""
        miss = self.stray(AIM_STD)
        over = OVER + float(self.stray(HEIGHT_STD, 1)[0])
        low = LOW + 0.5 * abs(float(self.stray(HEIGHT_STD, 1)[0]))

        def behind(height: float) -> np.ndarray:
            at = self.pose(block).position[:2]
            way = (target - at) / np.linalg.norm(target - at)
            return np.append(at - BEHIND * way + miss, height)

        yaw = yaw_of(target - self.pose(block).position[:2])
        yield from self.go(lambda: behind(over), yaw, within=0.015)
        yield from self.go(lambda: behind(low), yaw, within=0.006)

    def _push(self, block: str, target: np.ndarray) -> Script:
        """The way that the block still has to go is the way of the fork."""
        start = target - self.pose(block).position[:2]
        yaw, low = yaw_of(start), self.tip[2]
        while True:
            left = target - self.pose(block).position[:2]
            if left @ start < NEAR * np.linalg.norm(start):
                return
            if np.linalg.norm(left) > TURNED:
                yaw = yaw_of(left)
            yield Aim(np.append(self.tip[:2] + left, low), yaw, speed=PUSH_SPEED)

    def _draw_back(self) -> Script:
        """Up, and a little away from the block."""
        top = self.tip - np.append(BACK * along(self.yaw), 0.0)
        top[2] = OVER
        yield from self.go(lambda: top, self.yaw, within=0.02)
