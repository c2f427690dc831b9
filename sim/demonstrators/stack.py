"""Scripted people who stack blocks in a zone."""

from __future__ import annotations

import numpy as np

from vdd_ros.sim.demonstrators.picking import PickingOperator
from vdd_ros.sim.demonstrators.table import Script
from vdd_ros.sim.tasks.blocks import HALF
from vdd_ros.sim.tasks.stack import ORDERS, ZONE, Stack

SPOT_STD = 0.010  # [m] about the middle of the zone
DROP = 0.003  # [m] above what it will rest on, a block is let go


class Stack1Operator(PickingOperator):
    """Puts one block into the zone."""

    def script(self, mode: int) -> Script:
        """Mode: which block."""
        yield from self.place(Stack.objects[mode])

    def place(self, block: str) -> Script:
        """A block into the zone."""
        spot = np.array(ZONE) + self.stray(SPOT_STD)
        yield from self.bring(block, lambda: spot, HALF + DROP)


class Stack2Operator(Stack1Operator):
    """Puts one block into the zone and another one on it."""

    def script(self, mode: int) -> Script:
        """Mode: of `ORDERS`."""
        lower, upper = (Stack.objects[number] for number in ORDERS[mode])
        yield from self.place(lower)
        yield from self.bring(upper, lambda: self.pose(lower).position[:2], 3 * HALF + DROP)
