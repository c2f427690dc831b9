"""The Panda's chain and setups of it with a planted truth, for tests of calibration; and what is
known of them so far."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from vdd_ros.calibration.lens import Lens
from vdd_ros.calibration.next_pose import Known
from vdd_ros.calibration.planted import Setup, setup_of
from vdd_ros.calibration.recorded import chain_of
from vdd_ros.contract import Contract

CONTRACT = Contract.from_yaml("config/panda_avoid_tool_pose.yaml")
LOWER, UPPER = CONTRACT.limit("lower"), CONTRACT.limit("upper")
PRIOR_STD = np.array([0.5, 0.5, 0.5, 1.0, 1.0, 1.0] * 2)  # of X and Y [m, rad]


@lru_cache(maxsize=1)
def panda():
    return chain_of(CONTRACT)


@lru_cache(maxsize=8)
def setup(mounting: str, seed: int = 0, views: int = 20) -> Setup:
    rng = np.random.default_rng(seed)
    return setup_of(rng, panda(), LOWER, UPPER, mounting, views)


def known(planted: Setup, views: int) -> Known:
    """After so many views of a setup, with corners and joints as noisy as they usually are."""
    prior, parts = np.diag(PRIOR_STD**-2.0), (planted.camera, planted.target)
    points = planted.board.points
    found = Known(planted.mounting, planted.lens, planted.chain, points, *parts, prior, 0.3, 1e-4)
    for joints in planted.joints[:views]:
        found = with_view(found, joints)
    return found


def with_view(so_far: Known, joints: np.ndarray) -> Known:
    """As if the view at joints (n,) had been taken."""
    return replace(so_far, information=so_far.information + so_far.of_view(joints)[0])


def rendered_lens(width: int, height: int, fovy_rad: float) -> Lens:
    """Of pictures that are rendered with an angle of view from top to bottom; pixels are counted by
    their middles."""
    focal, middle = height / 2.0 / np.tan(fovy_rad / 2.0), ((width - 1) / 2.0, (height - 1) / 2.0)
    matrix = np.array([[focal, 0.0, middle[0]], [0.0, focal, middle[1]], [0.0, 0.0, 1.0]])
    return Lens(width, height, matrix)
