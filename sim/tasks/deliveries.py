"""Two blocks to two places, one each; which came where first is the mode."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from robosuite.models.objects import MujocoObject

from vdd_ros.sim.tasks.pushed import GREEN, OFF_TABLE_Z, RED, block
from vdd_ros.sim.tasks.table_task import TableTask

BLOCKS = ("red_block", "green_block")
START_YAW = 0.4  # [rad] a block is turned no more at the beginning


class Deliveries:
    """Watches `things` things, each of which may be at one of several places, or at none."""

    def __init__(self, things: int):
        self._steps = 0
        self._at: list[int | None] = [None] * things
        self._since = [0] * things

    def watch(self, at: list[int | None]) -> int:
        """Take in where each thing is at this step; returns how many different places are taken."""
        self._steps += 1
        for thing, place in enumerate(at):
            if place != self._at[thing]:
                self._at[thing], self._since[thing] = place, self._steps
        return len({place for place in at if place is not None})

    def first(self) -> tuple[int, int] | None:
        """The thing that has been at its place for longest, and that place; None before any is."""
        there = [
            (since, thing, place)
            for thing, (since, place) in enumerate(zip(self._since, self._at, strict=True))
            if place is not None
        ]
        return min(there)[1:] if there else None


class TwoDeliveries(TableTask):
    """Both blocks to different places, in any order.

    half         of a block's size (3,) [m]
    starts       (2, 2) middle of where each block begins [m]
    start_spread  it begins no farther from there [m], along either axis
    places       x, y of each place [m]; plain numbers, which are compared 200 times a second
    """

    half: ClassVar[tuple[float, float, float]]
    starts: ClassVar[np.ndarray]
    start_spread: ClassVar[float]
    places: ClassVar[list[list[float]]]
    objects = BLOCKS
    n_modes = 4
    sub_tasks = 2

    def is_at(self, dx: float, dy: float) -> bool:
        """Whether a block whose centre is so far from a place's [m] is there."""
        raise NotImplementedError

    def painted(self, number: int, at: np.ndarray) -> MujocoObject:
        """What shows a place, at (3,) [m, world frame]."""
        raise NotImplementedError

    def things(self) -> list[MujocoObject]:
        """Two blocks, and what shows the places."""
        blocks = [
            block(name, self.half, colour)
            for name, colour in zip(BLOCKS, (RED, GREEN), strict=True)
        ]
        shown = [
            self.painted(number, self.table_origin + (*place, 0.0))
            for number, place in enumerate(self.places)
        ]
        return [*blocks, *shown]

    def place(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Each block near its own start."""
        spread = np.array([self.start_spread, self.start_spread, 0.0, START_YAW])
        return {
            name: np.array([*xy, self.half[2], 0.0]) + spread * rng.uniform(-1.0, 1.0, 4)
            for name, xy in zip(BLOCKS, self.starts, strict=True)
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
        """Places that have a block."""
        return self._deliveries.watch([self._place_of(name) for name in BLOCKS])

    def _place_of(self, name: str) -> int | None:
        x, y, _ = self.position(name).tolist()
        for number, (at_x, at_y) in enumerate(self.places):
            if self.is_at(x - at_x, y - at_y):
                return number
        return None

    def mode(self) -> int | None:
        """2 x the block that has been at its place for longest + that place."""
        first = self._deliveries.first()
        return None if first is None else 2 * first[0] + first[1]
