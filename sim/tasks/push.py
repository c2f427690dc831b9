"""Push: a fork brings two blocks to two targets, one each.

After the Pushing task of D3IL (Jia et al., 2024): which block comes first and which target it goes
to are free, four modes.
"""

from __future__ import annotations

import numpy as np
from robosuite.models.objects import MujocoObject

from vdd_ros.sim.tasks.deliveries import Deliveries
from vdd_ros.sim.tasks.pushed import GREEN, OFF_TABLE_Z, RED, block, zone
from vdd_ros.sim.tasks.table_task import TableTask

BLOCKS = ("red_block", "green_block")
HALF = (0.035, 0.035, 0.025)  # [m] of a block
STARTS = np.array([[0.42, -0.16], [0.58, -0.16]])  # [m] middle of where each block begins
START_SPREAD, START_YAW = 0.03, 0.4  # [m, rad] it begins no farther from there, no more turned
TARGETS = np.array([[0.42, 0.16], [0.58, 0.16]])  # [m]
_TARGETS = TARGETS.tolist()  # several times as fast to compare with, 200 times a second
RADIUS = 0.05  # [m] a block whose centre is nearer to a target is there


class Push(TableTask):
    """Both blocks to different targets, in any order."""

    gripper_type = "ForkGripper"
    # [rad] Fork upright before the blocks, 0.10 m above the table
    start_q = np.array([-0.3538, 0.279, -0.1594, -2.1263, 0.0648, 2.4009, 0.2308])
    time_limit_s = 25.0
    objects = BLOCKS
    n_modes = 4
    sub_tasks = 2
    achieved = "both at their targets"

    def things(self) -> list[MujocoObject]:
        """Two blocks and the discs that show the targets."""
        zones = [
            zone(f"target_{i}", RADIUS, self.table_origin + (*xy, 0.0))
            for i, xy in enumerate(TARGETS)
        ]
        colours = zip(BLOCKS, (RED, GREEN), strict=True)
        return [*(block(name, HALF, colour) for name, colour in colours), *zones]

    def place(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Each block near its own start; the two never touch."""
        spread = np.array([START_SPREAD, START_SPREAD, 0.0, START_YAW])
        return {
            name: np.array([*xy, HALF[2], 0.0]) + spread * rng.uniform(-1.0, 1.0, 4)
            for name, xy in zip(BLOCKS, STARTS, strict=True)
        }

    def begin(self) -> None:
        """Nothing has been brought."""
        self._deliveries = Deliveries(len(BLOCKS))

    def fault(self, tool: np.ndarray) -> str | None:
        """A block off the table."""
        for name in BLOCKS:
            if self.position(name)[2] < OFF_TABLE_Z:
                return f"{name} fell off the table"
        return None

    def progress(self, tool: np.ndarray) -> int:
        """Targets that have a block."""
        return self._deliveries.watch([self._target_of(name) for name in BLOCKS])

    def _target_of(self, name: str) -> int | None:
        """The target that a block is at."""
        x, y, _ = self.position(name).tolist()
        for number, (at_x, at_y) in enumerate(_TARGETS):
            if (x - at_x) ** 2 + (y - at_y) ** 2 <= RADIUS**2:
                return number
        return None

    def mode(self) -> int | None:
        """2 x the block that has been at its target for longest + that target."""
        first = self._deliveries.first()
        return None if first is None else 2 * first[0] + first[1]
