"""Relay: four of five things on a board are to be moved, in any order, with a rod.

After Relay Kitchen (Gupta et al., 2019): one scene with several sub-tasks that do not depend on one
another. What was done stays done: friction or gravity holds every part where it was left.
"""

from __future__ import annotations

from importlib.resources import files
from typing import NamedTuple

import numpy as np
from robosuite.models.objects import MujocoObject, MujocoXMLObject

from vdd_ros.sim.tasks.table_task import TableTask

BOARD_XY = (0.52, 0.0)  # [m] of its middle, base frame
SHIFT = 0.02  # [m] by which it lies elsewhere, at most, along x and along y


class Part(NamedTuple):
    """A part's joint [m, rad]: where it begins, and from where on its sub-task is done."""

    begin: tuple[float, float]
    done: float


# the order is that of `objects` and of the modes
PARTS = {
    "slider": Part((0.0, 0.02), 0.08),  # slid to the left
    "button": Part((0.0, 0.003), 0.012),  # pressed down
    "lever": Part((-0.15, 0.15), 0.8),  # turned outwards
    "lid": Part((-0.17, -0.17), 1.2),  # leans inwards; pushed over, it falls shut
    "switch": Part((0.30, 0.35), -0.2),  # its raised end pressed down
}


def mode_of(first: int, second: int) -> int:
    """0 to 19: which two different parts, by their numbers, came first, in this order."""
    return first * (len(PARTS) - 1) + second - (second > first)


def first_two(mode: int) -> tuple[int, int]:
    """The numbers of the parts that come first in a mode."""
    first, second = divmod(mode, len(PARTS) - 1)
    return first, second + (second >= first)


class RelayBoard(MujocoXMLObject):
    """The board, which stands fast, and its five moving parts."""

    def __init__(self, name: str):
        path = str(files("vdd_ros.sim") / "assets" / "relay_board.xml")
        super().__init__(path, name, joints=None)


class Relay(TableTask):
    """Any four of the five; which two came first, and in which order, is the mode."""

    # [rad] Rod upright over the middle of the board, higher than anything on it
    start_q = np.array([0.0, 0.0156, 0.0, -2.3649, 0.0, 2.3806, 0.7859])
    time_limit_s = 25.0
    objects = tuple(PARTS)
    n_modes = len(PARTS) * (len(PARTS) - 1)
    contexts = 10
    sub_tasks = 4
    achieved = "four done"

    def things(self) -> list[MujocoObject]:
        """The board."""
        return [RelayBoard("board")]

    def _setup_references(self):
        super()._setup_references()
        model = self.sim.model
        self._bodies |= {name: model.body_name2id(f"board_{name}") for name in PARTS}
        addresses = [model.get_joint_qpos_addr(f"board_{name}") for name in PARTS]
        self._joints = np.array(addresses)
        self._goals = np.array([part.done for part in PARTS.values()])
        middles = np.array([np.mean(part.begin) for part in PARTS.values()])
        self._towards = np.sign(self._goals - middles)

    def begin(self) -> None:
        """A context: where the board lies, and how far each part is from its end."""
        shift = self.rng.uniform(-SHIFT, SHIFT, 2)
        where = self.table_origin + (*(BOARD_XY + shift), 0.0)
        self.sim.model._model.body_pos[self._bodies["board"]] = where
        spans = np.array([part.begin for part in PARTS.values()])
        self.sim.data._data.qpos[self._joints] = self.rng.uniform(*spans.T)
        self._order: list[int] = []  # of what is done now

    def progress(self, tool: np.ndarray) -> int:
        """How many are done now."""
        left = self._towards * (self._goals - self.sim.data._data.qpos[self._joints])
        done = np.flatnonzero(left <= 0.0).tolist()
        if len(done) != len(self._order) or set(done) != set(self._order):
            kept = [part for part in self._order if part in done]
            self._order = kept + [part for part in done if part not in kept]
        return len(done)

    def mode(self) -> int | None:
        """Which two were done first; what was undone again does not count."""
        return mode_of(*self._order[:2]) if len(self._order) > 1 else None
