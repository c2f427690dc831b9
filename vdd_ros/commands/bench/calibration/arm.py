"""The simulated arm that is calibrated: the Panda, by its own kinematics and limits."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from vdd_ros.calibration.chain import Chain
from vdd_ros.calibration.recorded import chain_of
from vdd_ros.commands.config_files import contract_of
from vdd_ros.contract import Contract


class Arm(NamedTuple):
    """lower, upper: (n,) limits of the joints of `chain` [rad]."""

    contract: Contract
    chain: Chain
    lower: np.ndarray
    upper: np.ndarray


@lru_cache(maxsize=1)
def arm() -> Arm:
    """That of config/panda_avoid_tool_pose.yaml."""
    contract = Contract.from_yaml(contract_of("avoid_tool_pose", None))
    return Arm(contract, chain_of(contract), contract.limit("lower"), contract.limit("upper"))


def kept(errors: dict[str, float], bounds: dict[str, float]) -> bool:
    """Whether every error is within its bound."""
    return all(errors[what] <= bounds[what] for what in errors)
