"""Blocks that are pushed about a table, and the zones that are painted on it."""

from __future__ import annotations

import numpy as np
from robosuite.models.objects import BoxObject, CylinderObject, MujocoObject
from robosuite.utils.mjcf_utils import array_to_string

RED, GREEN = (0.85, 0.2, 0.15, 1.0), (0.2, 0.65, 0.25, 1.0)
ZONE_COLOUR = (0.2, 0.4, 0.7, 0.6)
ZONE_HALF_Z = 5e-4  # [m]
FRICTION = 0.5  # of a block on whatever it touches: pushed low, it slides and does not tip
DENSITY = 500.0  # [kg/m^3] of wood
OFF_TABLE_Z = -0.02  # [m] a block whose centre is below has fallen off


def block(name: str, half: tuple[float, float, float], colour) -> BoxObject:
    """A wooden block that can move; half its size [m]."""
    made = BoxObject(name, size=half, rgba=colour, density=DENSITY, friction=FRICTION)
    slippery(made)
    return made


def slippery(thing: MujocoObject) -> None:
    """Let the thing's own friction hold; otherwise mujoco takes the larger of the two."""
    for geom in thing.get_obj().iter("geom"):
        geom.set("priority", "1")


def zone(name: str, radius: float, at: np.ndarray) -> CylinderObject:
    """A disc painted on the table, at (3,) [m, world frame]; nothing touches it."""
    return _painted(CylinderObject(name, size=[radius, ZONE_HALF_Z], **_PAINT), at)


def square(name: str, half: float, at: np.ndarray) -> BoxObject:
    """A square painted on the table, as `zone`."""
    return _painted(BoxObject(name, size=[half, half, ZONE_HALF_Z], **_PAINT), at)


_PAINT = {"rgba": ZONE_COLOUR, "joints": None, "obj_type": "visual"}


def _painted(thing, at: np.ndarray):
    thing.get_obj().set("pos", array_to_string(at + (0.0, 0.0, ZONE_HALF_Z)))
    return thing
