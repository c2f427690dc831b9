"""Gripper: a channel that opens and closes at a press."""

from __future__ import annotations

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.teleop.device import Grip


class Gripper:
    """Goes on opening, or closing, after one press. Raises UserError where the contract has no such
    joint, or several fractions and none is named."""

    def __init__(self, grip: Grip, contract: Contract):
        self.column = _column(grip, contract)
        joint = contract.joints[self.column]
        self._ends = joint.lower, joint.upper
        self._speed = grip.speed * joint.velocity
        self._goal: float | None = None

    def begin(self) -> None:
        """Stay as it is until the next press."""
        self._goal = None

    def step(self, target: np.ndarray, at: float, grip: float | None, dt: float) -> np.ndarray:
        """`target` (Da,) with the gripper, which was at `at` [unit], further by `dt` [s]."""
        if grip is not None:
            self._goal = self._ends[round(grip)]
        if self._goal is None:
            return target
        most = self._speed * dt
        moved = target.copy()
        moved[self.column] = at + min(most, max(-most, self._goal - at))
        return moved


def gripper_of(grip: Grip | None, contract: Contract) -> Gripper | None:
    """None where the device has no gripper, or the contract none: one device file does for an arm
    with and without."""
    has_one = any(joint.unit == "fraction" for joint in contract.joints)
    if grip is None or (grip.joint is None and not has_one):
        return None
    return Gripper(grip, contract)


def _column(grip: Grip, contract: Contract) -> int:
    if grip.joint is None:
        found = [joint.name for joint in contract.joints if joint.unit == "fraction"]
    else:
        found = [name for name in contract.joint_names if name == grip.joint]
    if len(found) != 1:
        raise UserError(
            f"the device's gripper is {grip.joint or 'not named'}, and {contract.name} has "
            f"{', '.join(found) or 'no such joint'}: name one by `joint` under `gripper`"
        )
    return contract.joint_names.index(found[0])
