"""The rod that a Panda pushes and points with."""

from __future__ import annotations

from importlib.resources import files

from robosuite.models.grippers import register_gripper
from robosuite.models.grippers.gripper_model import GripperModel


class RodGripper(GripperModel):
    """A slender rod without joints or actuators, 0.18 m long, 6 mm in radius."""

    def __init__(self, idn=0):
        super().__init__(str(files("vdd_ros.sim") / "assets" / "rod_gripper.xml"), idn=idn)

    def format_action(self, action):
        """Nothing to actuate."""
        return action

    @property
    def init_qpos(self):
        """No joints to place."""
        return None


register_gripper(RodGripper)
