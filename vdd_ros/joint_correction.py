"""JointCorrection: between what encoders count and what the model's joints are.

    joint = sign * encoder + offset        encoder = sign * (joint - offset)

Everything in vdd_ros is in the model's joints: limits, observations, actions, kinematics. Only the
robot itself counts otherwise, in the messages of ENCODER_STREAMS: its joint states on the way in
and its commands on the way out. Both are turned here, by the same numbers; an offset that is
applied to one of the two only is an arm that drifts by it in every step.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from vdd_ros.errors import UserError
from vdd_ros.robot_calibration import named_calibration

ENCODER_STREAMS = ("joint_state", "robot_command")
SIGNED_FIELDS = ("velocity",)  # which an offset does not change


class JointCorrection(NamedTuple):
    """sign: (Da,) of 1 and -1; offset: (Da,) [unit], in an order of joints."""

    sign: np.ndarray
    offset: np.ndarray

    def joints(self, encoders: np.ndarray) -> np.ndarray:
        """(..., Da) -> (..., Da) [unit]"""
        return self.sign * encoders + self.offset

    def encoders(self, joints: np.ndarray) -> np.ndarray:
        """(..., Da) -> (..., Da) [unit], the inverse."""
        return self.sign * (joints - self.offset)

    def taken(self, places: list[int]) -> JointCorrection:
        """Of joints in another order."""
        return JointCorrection(self.sign[places], self.offset[places])

    def fields(self, told: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Position and velocity, each (..., Da), as encoders tell them -> of the joints."""
        return {
            name: self.sign * values if name in SIGNED_FIELDS else self.joints(values)
            for name, values in told.items()
        }


def with_encoders(raw: dict, folder: Path) -> dict:
    """A contract as read from a file in `folder`, with signs and offsets in place of the name of
    the calibration that they are in, see `named_calibration`."""
    found = named_calibration(raw, "encoders", folder)
    if found is None:
        return raw
    path, known = found
    section = None if known is None else known.encoders
    joints = {} if section is None else section.corrections
    names = [one.get("name") for one in raw["joints"] if isinstance(one, dict)]
    if unknown := sorted(name for name in joints if name not in names):
        raise UserError(
            f"{path} has the joint {unknown[0]}, which the contract has not: calibrate anew"
        )
    return {**raw, "encoders": {name: one.model_dump() for name, one in joints.items()}}
