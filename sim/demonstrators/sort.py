"""A scripted person who sorts blocks into bins."""

from __future__ import annotations

import numpy as np

from vdd_ros.sim.demonstrators.picking import PickingOperator
from vdd_ros.sim.demonstrators.table import Script
from vdd_ros.sim.tasks.blocks import HALF
from vdd_ros.sim.tasks.sort import BIN_X, BIN_Y, PATTERNS

SPOT_STD = 0.008  # [m]
SIDE = 0.045  # [m] from the middle of a bin to that of each half
DROP = (0.018, 0.030)  # [m] above the table, a block is let go


class SortOperator(PickingOperator):
    """Of each colour, takes the block that is nearer to its bin, and fills the far half first."""

    def script(self, mode: int) -> Script:
        """Mode: of `PATTERNS`."""
        left = {"r": ["red_block_1", "red_block_2"], "b": ["blue_block_1", "blue_block_2"]}
        for colour in PATTERNS[mode]:
            block = left[colour].pop(0)
            half = SIDE if left[colour] else -SIDE
            yield from self.sort(block, BIN_Y[block.partition("_")[0]], half)

    def sort(self, block: str, bin_y: float, half: float) -> Script:
        """A block into a half of a bin."""
        spot = np.array([BIN_X + half, bin_y]) + self.stray(SPOT_STD)
        height = HALF + self.rng.uniform(*DROP)
        yield from self.bring(block, lambda: spot, height, turned=False)
