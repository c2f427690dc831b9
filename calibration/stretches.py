"""Stretches of a robot that works, in place of episodes: one for each place where it stood.

What a controller leaves (gravity, friction) is another in each pose. A robot that is parked tells
that of one pose, however long it stands there, and nothing of how the offsets of many differ.
"""

from __future__ import annotations

import numpy as np

from vdd_ros.calibration.leader_drift import RestOffset
from vdd_ros.calibration.still import APART
from vdd_ros.contract import Contract

REMEMBERED = 60  # places; what was longer ago is not now


class Stretches:
    """found: the newest of each place, oldest first."""

    def __init__(self, contract: Contract):
        self._apart = APART * contract.span
        self._places: list[np.ndarray] = []
        self.found: list[RestOffset] = []

    def add(self, place: np.ndarray, offset: RestOffset) -> None:
        """place: (Da,) where joints mostly were in the stretch [unit]; takes the place of what was
        told there before."""
        for index, known in enumerate(self._places):
            if (np.abs(place - known) < self._apart).all():
                del self._places[index], self.found[index]
                break
        self._places.append(place)
        self.found.append(offset)
        del self._places[:-REMEMBERED], self.found[:-REMEMBERED]
