"""A scripted person who pushes two small blocks into two squares with a round stub."""

from __future__ import annotations

import numpy as np

from vdd_ros.sim.demonstrators.table import Aim, Script, TableOperator
from vdd_ros.sim.tasks.block_push import HALF, SQUARES
from vdd_ros.sim.tasks.deliveries import BLOCKS

STUB = 0.015  # [m] radius
LOW = 0.014  # [m] of the stub's tip above the table
PUSH_SPEED, SPEED = 0.10, 0.20  # [m/s] with a block and without
HEIGHT_STD, AIM_STD = 0.002, 0.006  # [m] by which a hand differs from what it aims at
BEHIND = HALF[0] + STUB + 0.027  # [m] from a block's centre, where pushing begins
CLEAR = 0.055  # [m] a stub keeps from the centre of a block that it goes round
AHEAD = 0.04  # [m] a hand looks ahead on its line
STEER = 3.0  # how much more to the side than the stub is off the line behind the block
LOST = 0.7  # [rad] to the side of the block: nothing is pushed from there
REACHED = 0.008  # [m] from where pushing begins
NEAR = 0.012  # [m] from the middle of the square is good enough


class BlockPushOperator(TableOperator):
    """Pushes one block after the other, from behind, and corrects its line all the time."""

    gripper = "PusherGripper"

    def script(self, mode: int) -> Script:
        """mode: 2 x the first block + the square it is brought to."""
        block, square = divmod(mode, 2)
        self._height = LOW + float(self.stray(HEIGHT_STD, 1)[0])
        yield from self._bring(BLOCKS[block], SQUARES[square] + self.stray(AIM_STD))
        yield from self._bring(BLOCKS[1 - block], SQUARES[1 - square] + self.stray(AIM_STD))
        yield from self._draw_back(BLOCKS[1 - block])

    def _bring(self, block: str, square: np.ndarray) -> Script:
        behind = False
        start = square - self.pose(block).position[:2]
        while True:
            at = self.pose(block).position[:2]
            left = square - at
            if left @ start < NEAR * np.linalg.norm(start) and np.linalg.norm(left) < 3 * NEAR:
                return
            way = left / np.linalg.norm(left)
            begin = at - BEHIND * way
            off = self._off(at, way)
            behind = off < LOST if behind else self._is_at(begin)
            yield self._push(at, way, left) if behind else self._go_round(begin)

    def _is_at(self, point: np.ndarray) -> bool:
        return bool(np.linalg.norm(point - self.tip[:2]) < REACHED)

    def _off(self, at: np.ndarray, way: np.ndarray) -> float:
        """Angle [rad] between the line behind the block and the stub, seen from the block."""
        side, back = cross(way, self.tip[:2] - at), -(self.tip[:2] - at) @ way
        return float(abs(np.arctan2(side, back)))

    def _push(self, at: np.ndarray, way: np.ndarray, left: np.ndarray) -> Aim:
        """Along the way that is left, and back to the line behind the block."""
        aside = np.array([-way[1], way[0]])
        off = (self.tip[:2] - at) @ aside / (HALF[0] + STUB)
        towards = way - STEER * off * aside
        towards /= np.linalg.norm(towards)
        return self._aim(min(AHEAD, float(np.linalg.norm(left))) * towards, PUSH_SPEED)

    def _go_round(self, point: np.ndarray) -> Aim:
        """Towards a point, round whatever block is in between."""
        left = point - self.tip[:2]
        far = float(np.linalg.norm(left))
        towards = left / max(far, 1e-6)
        for block in BLOCKS:
            away = self.tip[:2] - self.pose(block).position[:2]
            distance = float(np.linalg.norm(away))
            away = away / distance
            if distance < CLEAR and towards @ away < 0.0:
                along = np.array([-away[1], away[0]])
                towards = along * (1.0 if towards @ along > 0.0 else -1.0)
                towards = towards + away * (CLEAR - distance) / 0.02
        return self._aim(min(AHEAD, far) * towards / np.linalg.norm(towards), SPEED)

    def _aim(self, way: np.ndarray, speed: float) -> Aim:
        return Aim(np.append(self.tip[:2] + way, self._height), 0.0, speed=speed)

    def _draw_back(self, block: str) -> Script:
        away = self.tip[:2] - self.pose(block).position[:2]
        end = np.append(self.tip[:2] + 0.03 * away / np.linalg.norm(away), self._height)
        yield from self.go(lambda: end, within=0.01)


def cross(a: np.ndarray, b: np.ndarray) -> float:
    """z of the cross product of two (2,)."""
    return float(a[0] * b[1] - a[1] * b[0])
