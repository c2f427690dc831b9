"""What a Panda without a hand pushes and points with."""

from __future__ import annotations

from importlib.resources import files

from robosuite.models.grippers import register_gripper
from robosuite.models.grippers.gripper_model import GripperModel


class _Tool(GripperModel):
    """Something stiff at the flange, 0.18 m long, without joints or actuators."""

    asset: str

    def __init__(self, idn=0):
        super().__init__(str(files("vdd_ros.sim") / "assets" / self.asset), idn=idn)

    def format_action(self, action):
        """Nothing to actuate."""
        return action

    @property
    def init_qpos(self):
        """No joints to place."""
        return None


class RodGripper(_Tool):
    """A slender rod, 6 mm in radius."""

    asset = "rod_gripper.xml"


class ForkGripper(_Tool):
    """Two prongs, 7 mm in radius and 0.05 m apart along the tool's x: a block does not slip off."""

    asset = "fork_gripper.xml"


class PusherGripper(_Tool):
    """A round stub, 15 mm in radius."""

    asset = "pusher_gripper.xml"


for tool in (RodGripper, ForkGripper, PusherGripper):
    register_gripper(tool)
