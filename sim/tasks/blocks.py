"""Wooden blocks that the hand can grasp, lying about on the table."""

from __future__ import annotations

import math

import numpy as np
from robosuite.models.objects import BoxObject
from robosuite.utils.mjcf_utils import array_to_string

from vdd_ros.sim.tasks.table_task import TableTask

HALF = 0.0225  # [m] of a block's edge: the open hand has 17 mm to spare on either side
DENSITY = 400.0  # [kg/m^3] of wood; 36 g
RGB = {"red": (0.8, 0.15, 0.1), "green": (0.15, 0.6, 0.2), "blue": (0.1, 0.25, 0.8)}
FLAT = 0.0005  # [m] half the thickness of what is only drawn
FELL_M = -0.05  # a block this far below the table's top is gone
LEFT_M = 0.040  # the tool is as far from the centre of a block that it has let go


class BlockTask(TableTask):
    """The hand, and blocks that can fall off the table; `objects` are the blocks."""

    gripper_type, has_gripper = "PandaHand", True

    def _setup_references(self):
        super()._setup_references()
        self._blocks = [self._bodies[name] for name in self.objects]

    def centres(self) -> list[list[float]]:
        """Where each block is, x, y, z [m]: plain numbers, as arrays so small are slow."""
        return (self.sim.data._data.xpos[self._blocks] - self.table_origin).tolist()

    def fault(self, tool: np.ndarray) -> str | None:
        """A block that fell down is out of reach."""
        heights = self.sim.data._data.xpos[self._blocks, 2].tolist()
        fell = min(heights) < self.table_origin[2] + FELL_M
        return "a block fell off the table" if fell else None


def let_go(centre: list[float], tool: np.ndarray) -> bool:
    """Whether the tool's tip (3,) is away from a block whose centre is here [m]."""
    return math.dist(centre, tool) > LEFT_M


def block(name: str) -> BoxObject:
    """A cube that can move; its name begins with its colour."""
    rgba = [*RGB[name.partition("_")[0]], 1.0]
    return BoxObject(name, size=[HALF] * 3, density=DENSITY, rgba=rgba)


def fixed(name: str, size: tuple, rgba: list, where: np.ndarray, solid: bool = True) -> BoxObject:
    """A box that stands fast; size: half its edges, where: (3,) in the simulation's frame [m].
    What is not solid is only drawn."""
    kind = "all" if solid else "visual"
    box = BoxObject(name, size=list(size), rgba=rgba, joints=None, obj_type=kind)
    box.get_obj().set("pos", array_to_string(where))
    return box
