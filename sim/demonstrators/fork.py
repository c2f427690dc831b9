"""Which way a fork points."""

from __future__ import annotations

import math

import numpy as np

BACK = 0.02  # [m] a fork is drawn back from what it pushed as it is lifted


def yaw_of(way: np.ndarray) -> float:
    """The yaw [rad] of a fork that pushes along (2,)."""
    return math.atan2(-way[0], way[1])


def along(yaw: float) -> np.ndarray:
    """(2,) the unit vector along which a fork with this yaw [rad] pushes."""
    return np.array([-math.sin(yaw), math.cos(yaw)])


def turn_between(one: float, other: float) -> float:
    """The angle [rad] from one yaw to another, the short way round."""
    return math.remainder(other - one, 2.0 * math.pi)
