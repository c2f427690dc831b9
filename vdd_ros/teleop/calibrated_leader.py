"""A leader's device with what was calibrated of it: signs and offsets that stand in its file."""

from __future__ import annotations

from datetime import datetime

from vdd_ros.calibration_parts import JointOffsets
from vdd_ros.errors import UserError
from vdd_ros.teleop.device import LeaderDevice, LeaderJoint


def corrections_of(device: LeaderDevice, section: JointOffsets, where: str) -> dict[str, dict]:
    """By joint, the keys of the device file that change, so that the follower is where the leader
    is: arm = sign * (what the device made of the leader) + offset.

    section: `leader` of a calibration, of poses that were taken by this device file. Raises
    UserError where the device has it already, or has not its joints.
    """
    if device.calibrated is not None and (
        datetime.fromisoformat(section.made) <= datetime.fromisoformat(device.calibrated)
    ):
        raise UserError(
            f"{where} has what was calibrated until {device.calibrated} in it already, and the "
            f"calibration's leader was made {section.made}: take poses by this device file first"
        )
    if foreign := sorted(section.joints.keys() - device.joints.keys()):
        raise UserError(
            f"{where} has no joint {foreign[0]} of the leader, of which the calibration speaks: "
            "name the device file by which the poses were taken"
        )
    return {
        name: _corrected(device.joints[name], one.sign, one.offset)
        for name, one in section.joints.items()
    }


def _corrected(joint: LeaderJoint, sign: int, offset: float) -> dict:
    if joint.means is not None:
        return {"means": [sign * one + offset for one in joint.means]}
    return {"sign": sign * joint.sign, "offset": round(sign * joint.offset + offset, 6)}
