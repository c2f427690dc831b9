"""Block push: a round stub that stays low brings two small blocks into two squares, one each.

After the multi-modal block pushing of BeT (Shafiullah et al., 2022): any block, any square, any
order; the return is the number of squares with a block.
"""

from __future__ import annotations

import numpy as np
from robosuite.models.objects import MujocoObject

from vdd_ros.sim.tasks.deliveries import TwoDeliveries
from vdd_ros.sim.tasks.pushed import square

HALF = (0.02, 0.02, 0.02)  # [m] of a block
SQUARES = np.array([[0.62, 0.11], [0.62, -0.11]])  # [m]
SQUARE_HALF = 0.05  # [m] a block whose centre is on a square is in it
TOO_HIGH = 0.06  # [m] a stub whose tip is above goes over blocks instead of round them


class BlockPush(TwoDeliveries):
    """Both blocks in different squares, in any order."""

    gripper_type = "PusherGripper"
    # [rad] Stub upright before the blocks, 0.015 m above the table
    start_q = np.array([0.0, 0.0344, 0.0, -2.8177, 0.0, 2.8521, 0.7859])
    time_limit_s = 30.0
    achieved = "both in their squares"
    half = HALF
    starts = np.array([[0.46, 0.09], [0.46, -0.09]])  # the stub fits between them
    start_spread = 0.025
    places = SQUARES.tolist()

    def is_at(self, dx: float, dy: float) -> bool:
        """On the square."""
        return abs(dx) <= SQUARE_HALF and abs(dy) <= SQUARE_HALF

    def painted(self, number: int, at: np.ndarray) -> MujocoObject:
        """A square."""
        return square(f"square_{number}", SQUARE_HALF, at)

    def fault(self, tool: np.ndarray) -> str | None:
        """A block off the table, or a stub that goes over blocks."""
        over = "lifted the stub over the blocks" if tool[2] > TOO_HIGH else None
        return super().fault(tool) or over
