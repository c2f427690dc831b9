"""Distributions whose teacher is exact, to see what every way of making one fast does to it."""

from vdd_ros.policies.beds.bed import Bed
from vdd_ros.policies.beds.g6 import G6
from vdd_ros.policies.beds.t2 import T2

BEDS: dict[str, Bed] = {bed.name: bed for bed in (G6(), T2())}

__all__ = ["BEDS", "Bed"]
