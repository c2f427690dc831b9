"""Sorting: two red and two blue blocks go into the bin of their colour.

After the Sorting task of D3IL (Jia et al., 2024). Blocks of one colour stand for each other: the
order in which colours arrive is a free choice, six patterns.
"""

from __future__ import annotations

import numpy as np
from robosuite.models.objects import MujocoObject

from vdd_ros.sim.tasks.blocks import FLAT, HALF, RGB, BlockTask, block, fixed, let_go

X, Y = (0.43, 0.57), {"red": 0.07, "blue": -0.07}  # [m] where each block begins, give or take
AWAY = 0.02  # [m] at most, in x and in y: between two blocks is room for an open finger
TURN = 0.2  # [rad] at most, either way: the closing hand straightens it
BIN_Y = {"red": 0.27, "blue": -0.27}  # [m] of the middle of each colour's bin
BIN_X = 0.50
OBJECTS = ("red_block_1", "red_block_2", "blue_block_1", "blue_block_2")
BINS = tuple(BIN_Y[name.partition("_")[0]] for name in OBJECTS)  # where each one belongs
BIN_HALF = (0.10, 0.06)  # [m] inside, x and y
WALL_HALF, WALL_HEIGHT = 0.005, 0.020  # [m]
IN_BIN_M = 0.075  # a block whose centre is lower lies in the bin, if only on another block
PATTERNS = ("rrbb", "rbrb", "rbbr", "brrb", "brbr", "bbrr")


class Sort(BlockTask):
    """Four blocks into two bins. Mode: which of `PATTERNS` their colours arrived in."""

    # [rad] Hand over the middle of the blocks, fingers along y
    start_q = np.array([-0.0005, 0.0594, 0.0005, -2.3805, 0.0, 2.4399, 0.7859])
    time_limit_s = 30.0
    n_modes = len(PATTERNS)
    contexts = 10
    sub_tasks = 4
    achieved = "sorted"
    objects = OBJECTS

    def things(self) -> list[MujocoObject]:
        """The blocks and the bins, which stand fast."""
        bins = [part for colour in BIN_Y for part in self._bin(colour)]
        return [*(block(name) for name in self.objects), *bins]

    def _bin(self, colour: str) -> list[MujocoObject]:
        """A floor, which is only drawn, and four walls."""
        (x, y), rgb = BIN_HALF, RGB[colour]
        middle = self.table_origin + (BIN_X, BIN_Y[colour], 0.0)
        parts = [fixed(f"{colour}_floor", (x, y, FLAT), [*rgb, 0.5], middle, solid=False)]
        along_x, along_y = (x + 2 * WALL_HALF, WALL_HALF), (WALL_HALF, y)
        for number, (size, dx, dy) in enumerate(
            [
                (along_x, 0.0, y + WALL_HALF),
                (along_x, 0.0, -y - WALL_HALF),
                (along_y, x + WALL_HALF, 0.0),
                (along_y, -x - WALL_HALF, 0.0),
            ]
        ):
            where = middle + (dx, dy, WALL_HEIGHT / 2)
            size_3d = (*size, WALL_HEIGHT / 2)
            parts.append(fixed(f"{colour}_wall_{number}", size_3d, [*rgb, 1.0], where))
        return parts

    def place(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Each block about a place of its own; of each colour, the first is nearer to the robot."""
        places = {
            f"{colour}_block_{i + 1}": (x, y) for colour, y in Y.items() for i, x in enumerate(X)
        }
        return {
            name: np.array(
                [*(places[name] + rng.uniform(-AWAY, AWAY, 2)), HALF, rng.uniform(-TURN, TURN)]
            )
            for name in self.objects
        }

    def begin(self) -> None:
        """Nothing is sorted."""
        self._arrived: list[int] = []

    def progress(self, tool: np.ndarray) -> int:
        """Blocks that lie in the bin of their colour, let go."""
        now = [
            number
            for number, (x, y, z) in enumerate(self.centres())
            if abs(x - BIN_X) <= BIN_HALF[0]
            and abs(y - BINS[number]) <= BIN_HALF[1]
            and z < IN_BIN_M
            and let_go([x, y, z], tool)
        ]
        stayed = [number for number in self._arrived if number in now]
        self._arrived = stayed + [number for number in now if number not in stayed]
        return len(now)

    def mode(self) -> int | None:
        """The pattern, once all have arrived."""
        pattern = "".join(OBJECTS[number][0] for number in self._arrived)
        return PATTERNS.index(pattern) if pattern in PATTERNS else None
