"""Push: a fork brings two blocks to two targets, one each.

After the Pushing task of D3IL (Jia et al., 2024): which block comes first and which target it goes
to are free, four modes.
"""

from __future__ import annotations

import numpy as np
from robosuite.models.objects import MujocoObject

from vdd_ros.sim.tasks.deliveries import TwoDeliveries
from vdd_ros.sim.tasks.pushed import zone

HALF = (0.035, 0.035, 0.025)  # [m] of a block
TARGETS = np.array([[0.42, 0.16], [0.58, 0.16]])  # [m]
RADIUS = 0.05  # [m] a block whose centre is nearer to a target is there


class Push(TwoDeliveries):
    """Both blocks to different targets, in any order."""

    gripper_type = "ForkGripper"
    # [rad] Fork upright before the blocks, 0.10 m above the table
    start_q = np.array([-0.3538, 0.279, -0.1594, -2.1263, 0.0648, 2.4009, 0.2308])
    time_limit_s = 25.0
    achieved = "both at their targets"
    half = HALF
    starts = np.array([[0.42, -0.16], [0.58, -0.16]])
    start_spread = 0.03
    places = TARGETS.tolist()

    def is_at(self, dx: float, dy: float) -> bool:
        """On the disc."""
        return dx**2 + dy**2 <= RADIUS**2

    def painted(self, number: int, at: np.ndarray) -> MujocoObject:
        """A disc."""
        return zone(f"target_{number}", RADIUS, at)
