"""What stands behind a device: how its readings become targets."""

from __future__ import annotations

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.contract_parts import Kinematics as Model
from vdd_ros.teleop.cartesian import Cartesian
from vdd_ros.teleop.device import (
    Device,
    JoyDevice,
    KeyboardDevice,
    LeaderDevice,
    TwistDevice,
    is_cartesian,
)
from vdd_ros.teleop.follower import Follower
from vdd_ros.teleop.following import Following
from vdd_ros.teleop.gripper import gripper_of
from vdd_ros.teleop.jog import Jog
from vdd_ros.teleop.reading import Motion


def motion_of(device: Device, contract: Contract, model: Model | None) -> Motion:
    """model: for devices that move the tool, where the contract has none of its own. Raises
    UserError where there is neither, or what is needed is not installed, or does not fit."""
    if isinstance(device, LeaderDevice):
        return Following(device, contract)
    if isinstance(device, TwistDevice) or is_cartesian(device, contract):
        return Cartesian(contract, model, contract.streams["teleop_command"].rate_hz)
    return Jog(contract)


def follower_of(device: Device, contract: Contract, motion: Motion, hold: bool) -> Follower:
    """hold: see Follower."""
    grip = device.gripper if isinstance(device, JoyDevice | KeyboardDevice) else None
    # a keyboard says nothing while no key is pressed
    timeout_s = np.inf if isinstance(device, KeyboardDevice) else device.timeout_s
    return Follower(contract, motion, gripper_of(grip, contract), timeout_s, hold)
