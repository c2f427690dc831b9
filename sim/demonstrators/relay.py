"""A scripted person who moves four of the five things on the board, one after the other."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vdd_ros.sim.demonstrators.table import Script, TableOperator
from vdd_ros.sim.tasks.relay import PARTS, Relay, first_two

TRAVEL_Z = (0.125, 0.15)  # [m] of the tip between two parts: over everything
AIM_STD = 0.005  # [m]
WORK_SPEED = 0.15  # [m/s]
BUTTON_XY = (-0.10, 0.09)  # [m] on the board: it does not move sideways, so it tells where that is


class Stroke(NamedTuple):
    """Where the tip goes down and where it then moves to [m], from the board's middle, z from the
    table; stray: along which axes it does not matter to some millimetres."""

    begin: tuple[float, float, float]
    end: tuple[float, float, float]
    stray: tuple[float, float, float]


STROKES = {
    "slider": Stroke((0.13, -0.095, 0.045), (0.13, 0.032, 0.045), (1.5, 0.5, 1.0)),
    "button": Stroke((-0.10, 0.09, 0.075), (-0.10, 0.09, 0.036), (1.5, 1.5, 0.0)),
    "lever": Stroke((-0.04, 0.165, 0.035), (0.0, 0.285, 0.035), (1.0, 0.5, 0.8)),
    "lid": Stroke((0.02, -0.145, 0.065), (0.02, -0.235, 0.065), (2.0, 0.5, 0.8)),
    "switch": Stroke((-0.10, -0.055, 0.080), (-0.10, -0.055, 0.033), (1.5, 0.5, 0.0)),
}


class RelayOperator(TableOperator):
    """Has made up its mind about the order of four before it starts."""

    sway = 0.003  # with more a lever or a switch is missed

    def script(self, mode: int) -> Script:
        """Mode as `Relay` declares it; the third and the fourth are drawn."""
        names = list(PARTS)
        order = [names[number] for number in first_two(mode)]
        others = [name for name in names if name not in order]
        order += [str(name) for name in self.rng.permutation(others)]
        for name in order[: Relay.sub_tasks]:
            yield from self._move_part(STROKES[name])

    def _move_part(self, stroke: Stroke) -> Script:
        """Down beside it, move it, up again."""
        miss = self.stray(AIM_STD, 3) * stroke.stray
        height = self.rng.uniform(*TRAVEL_Z)
        begin, end = (self._on_board(np.array(point) + miss) for point in stroke[:2])
        over = np.array([*begin[:2], height])
        away = np.array([*end[:2], height])
        yield from self.go(lambda: over, within=0.015)
        yield from self.go(lambda: begin, speed=WORK_SPEED, within=0.006)
        yield from self.go(lambda: end, speed=WORK_SPEED, within=0.002)
        yield from self.go(lambda: away, within=0.02)

    def _on_board(self, point: np.ndarray) -> np.ndarray:
        """A point on the board (3,) in the base frame [m]."""
        board = self.pose("button").position[:2] - BUTTON_XY
        return point + np.append(board, 0.0)
