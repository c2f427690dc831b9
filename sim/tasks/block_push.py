"""Block push: a round stub that stays low brings two small blocks into two squares, one each.

After the multi-modal block pushing of BeT (Shafiullah et al., 2022): any block, any square, any
order; the return is the number of squares with a block.
"""

from __future__ import annotations

import numpy as np
from robosuite.models.objects import MujocoObject

from vdd_ros.sim.tasks.deliveries import Deliveries
from vdd_ros.sim.tasks.pushed import GREEN, OFF_TABLE_Z, RED, block, square
from vdd_ros.sim.tasks.table_task import TableTask

BLOCKS = ("red_block", "green_block")
HALF = (0.02, 0.02, 0.02)  # [m] of a block
STARTS = np.array([[0.46, 0.09], [0.46, -0.09]])  # [m] middle of where each block begins
START_SPREAD, START_YAW = 0.025, 0.4  # [m, rad] it begins no farther from there, no more turned
SQUARES = np.array([[0.62, 0.11], [0.62, -0.11]])  # [m]
_SQUARES = SQUARES.tolist()  # several times as fast to compare with, 200 times a second
SQUARE_HALF = 0.05  # [m] a block whose centre is on a square is in it
TOO_HIGH = 0.06  # [m] a stub whose tip is above goes over blocks instead of round them


class BlockPush(TableTask):
    """Both blocks in different squares, in any order."""

    gripper_type = "PusherGripper"
    # [rad] Stub upright before the blocks, 0.015 m above the table
    start_q = np.array([0.0, 0.0344, 0.0, -2.8177, 0.0, 2.8521, 0.7859])
    time_limit_s = 30.0
    objects = BLOCKS
    n_modes = 4
    sub_tasks = 2
    achieved = "both in their squares"

    def things(self) -> list[MujocoObject]:
        """Two blocks and the squares."""
        squares = [
            square(f"square_{i}", SQUARE_HALF, self.table_origin + (*xy, 0.0))
            for i, xy in enumerate(SQUARES)
        ]
        colours = zip(BLOCKS, (RED, GREEN), strict=True)
        return [*(block(name, HALF, colour) for name, colour in colours), *squares]

    def place(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Each block near its own start; the stub fits between them."""
        spread = np.array([START_SPREAD, START_SPREAD, 0.0, START_YAW])
        return {
            name: np.array([*xy, HALF[2], 0.0]) + spread * rng.uniform(-1.0, 1.0, 4)
            for name, xy in zip(BLOCKS, STARTS, strict=True)
        }

    def begin(self) -> None:
        """Nothing has been brought."""
        self._deliveries = Deliveries(len(BLOCKS))

    def fault(self, tool: np.ndarray) -> str | None:
        """A block off the table, or a stub that goes over blocks."""
        for name in BLOCKS:
            if self.position(name)[2] < OFF_TABLE_Z:
                return f"{name} fell off the table"
        return "lifted the stub over the blocks" if tool[2] > TOO_HIGH else None

    def progress(self, tool: np.ndarray) -> int:
        """Squares that have a block."""
        return self._deliveries.watch([self._square_of(name) for name in BLOCKS])

    def _square_of(self, name: str) -> int | None:
        """The square that a block is in."""
        x, y, _ = self.position(name).tolist()
        for number, (at_x, at_y) in enumerate(_SQUARES):
            if abs(x - at_x) <= SQUARE_HALF and abs(y - at_y) <= SQUARE_HALF:
                return number
        return None

    def mode(self) -> int | None:
        """2 x the block that has been in its square for longest + that square."""
        first = self._deliveries.first()
        return None if first is None else 2 * first[0] + first[1]
