"""The Panda's chain and setups of it with a planted truth, for tests of calibration."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from vdd_ros.calibration.planted import Setup, setup_of
from vdd_ros.calibration.recorded import chain_of
from vdd_ros.contract import Contract

CONTRACT = Contract.from_yaml("config/panda_avoid_tool_pose.yaml")
LOWER, UPPER = CONTRACT.limit("lower"), CONTRACT.limit("upper")


@lru_cache(maxsize=1)
def panda():
    return chain_of(CONTRACT)


@lru_cache(maxsize=8)
def setup(mounting: str, seed: int = 0, views: int = 20) -> Setup:
    rng = np.random.default_rng(seed)
    return setup_of(rng, panda(), LOWER, UPPER, mounting, views)
