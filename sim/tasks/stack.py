"""Stacking: three coloured blocks lie about; the hand carries them into a zone.

After the Stacking tasks of D3IL (Jia et al., 2024): for `stack_1` one block has to be in the zone,
for `stack_2` a second one on top of it. Which one and in which order is a free choice.
"""

from __future__ import annotations

from itertools import permutations

import numpy as np
from robosuite.models.objects import MujocoObject

from vdd_ros.sim.tasks.blocks import FLAT, HALF, BlockTask, block, fixed, let_go

X = (0.44, 0.54)  # [m] where blocks begin
# [m] and each in a band of its own, as in D3IL: which one lies where need not be found out
Y = {"red_block": -0.22, "green_block": -0.08, "blue_block": 0.06}
BAND = 0.02  # [m] half its width: between two blocks is room for an open finger
TURN = 0.4  # [rad] at most, either way
ZONE = (0.49, 0.20)  # [m] its centre
ZONE_HALF = 0.06  # [m] of its side
LEVEL_M = 0.010  # a block this near its height rests on what is below it
OVER_M = 0.022  # a block so far beside the one below it would still stand
ORDERS = tuple(permutations(range(3), 2))  # the lower block and the one on it


class Stack(BlockTask):
    """The scene: three blocks and a zone."""

    # [rad] Hand over the middle between blocks and zone, fingers along y
    start_q = np.array([0.0208, 0.0347, 0.0199, -2.413, -0.0011, 2.4477, 0.8275])
    objects = ("red_block", "green_block", "blue_block")

    def things(self) -> list[MujocoObject]:
        """The blocks, and the zone, which is only drawn."""
        size = (ZONE_HALF, ZONE_HALF, FLAT)
        where = self.table_origin + (*ZONE, 0.0)
        zone = fixed("zone", size, [0.9, 0.8, 0.3, 1.0], where, solid=False)
        return [*(block(name) for name in self.objects), zone]

    def place(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Each block somewhere in its band, turned a little."""
        return {
            name: np.array(
                [
                    rng.uniform(*X),
                    Y[name] + rng.uniform(-BAND, BAND),
                    HALF,
                    rng.uniform(-TURN, TURN),
                ]
            )
            for name in self.objects
        }


def placed(at: list[list[float]], tool: np.ndarray, level: int) -> list[bool]:
    """Which blocks are in the zone, let go, at this level of a tower, 0 on the table.

    at: their centres x, y, z [m]; tool: (3,) its tip [m].
    """
    height = HALF * (1 + 2 * level)
    return [
        abs(x - ZONE[0]) <= ZONE_HALF
        and abs(y - ZONE[1]) <= ZONE_HALF
        and abs(z - height) <= LEVEL_M
        and let_go([x, y, z], tool)
        for x, y, z in at
    ]


class Stack1(Stack):
    """One block in the zone. Mode: which one was there first."""

    time_limit_s = 15.0
    n_modes = 3
    achieved = "placed"

    def begin(self) -> None:
        """Nothing is placed."""
        self._first: int | None = None

    def progress(self, tool: np.ndarray) -> int:
        """1 while a block lies in the zone."""
        there = placed(self.centres(), tool, 0)
        if self._first is None or not there[self._first]:
            self._first = there.index(True) if any(there) else None
        return int(self._first is not None)

    def mode(self) -> int | None:
        """Which block."""
        return self._first


class Stack2(Stack):
    """Two blocks in the zone, one on the other. Mode: which one is below and which above."""

    time_limit_s = 25.0
    n_modes = len(ORDERS)
    contexts = 10
    sub_tasks = 2
    achieved = "stacked"

    def begin(self) -> None:
        """Nothing is stacked."""
        self._order: int | None = None

    def progress(self, tool: np.ndarray) -> int:
        """1 with a block in the zone, 2 with another one on it."""
        at = self.centres()
        below, above = placed(at, tool, 0), placed(at, tool, 1)
        self._order = None
        for order, (lower, upper) in enumerate(ORDERS):
            if below[lower] and above[upper] and over(at[lower], at[upper]):
                self._order = order
        return int(any(below)) + (self._order is not None)

    def mode(self) -> int | None:
        """Which of `ORDERS` stands in the zone."""
        return self._order


def over(lower: list[float], upper: list[float]) -> bool:
    """Whether one block stands over another, by their centres [m]."""
    return max(abs(lower[0] - upper[0]), abs(lower[1] - upper[1])) <= OVER_M
