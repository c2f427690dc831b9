"""Avoid: a rod on the Panda's flange crosses a field of six cylinders without touching one.

After the Avoiding task of D3IL (Jia et al., 2024): three rows of one, two and three cylinders
leave 24 ways, so both success and the diversity of a policy can be read off a path.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import numpy as np
from robosuite.environments.manipulation.manipulation_env import ManipulationEnv
from robosuite.models.arenas import TableArena
from robosuite.models.grippers import register_gripper
from robosuite.models.grippers.gripper_model import GripperModel
from robosuite.models.objects import CylinderObject
from robosuite.models.tasks import ManipulationTask
from robosuite.utils.mjcf_utils import array_to_string

from vdd_ros.sim.avoid_field import FIELD, way
from vdd_ros.sim.tasks.status import Status

TABLE_SIZE = (0.8, 0.8, 0.05)
TABLE_Z = 0.912  # [m] of link0 on robosuite's mount: the table is level with the robot's base


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


def _cylinder(number: int, base: np.ndarray, x: float, y: float) -> CylinderObject:
    """A cylinder that stands on the table at (x, y) [m] in the frame of the robot's `base`."""
    half = FIELD.cylinder_height / 2
    cylinder = CylinderObject(
        f"cylinder_{number}",
        size=[FIELD.cylinder_radius, half],
        rgba=[0.2, 0.4, 0.7, 1],
        joints=None,
    )
    cylinder.get_obj().set("pos", array_to_string(base + (x, y, TABLE_Z + half)))
    return cylinder


class Avoid(ManipulationEnv):
    """The scene and its verdict; reset and stepped by `vdd_ros.sim.env.RobosuiteEnv`."""

    sim: Any  # robosuite leaves it untyped and empty until the model is loaded
    gripper_type, has_gripper = "RodGripper", False
    # [rad] Rod upright at the start of the field, elbow where the operator's kinematics puts it
    start_q = np.array([-0.5171, 0.554, -0.0849, -1.8627, 0.0671, 2.4139, 0.1465])
    time_limit_s = FIELD.time_limit_s

    def _load_model(self):
        super()._load_model()
        robot = self.robots[0]
        base = np.array(robot.robot_model.base_xpos_offset["table"](TABLE_SIZE[0]))
        robot.robot_model.set_base_xpos(base)
        robot.init_qpos = self.start_q
        arena = TableArena(table_full_size=TABLE_SIZE, table_offset=(0, 0, TABLE_Z))
        arena.set_origin([0, 0, 0])
        cylinders = [_cylinder(i, base, *xy) for i, xy in enumerate(FIELD.cylinders())]
        self.model = ManipulationTask(arena, [robot.robot_model], cylinders)

    def _reset_internal(self):
        super()._reset_internal()
        self._path: list[np.ndarray] = []
        self._beyond_since_s: float | None = None
        self._verdict: Status | None = None

    def reward(self, action=None):
        """robosuite insists on one; the verdict is `status`."""
        return float(self.status.success)

    def watch(self, time_s: float, tool: np.ndarray) -> None:
        """Take in one physics step: its time [s] and the rod's lower end (3,) [m, base frame]."""
        if self._verdict:
            return
        self._path.append(tool[:2].copy())
        if tool[1] < FIELD.finish_y:
            self._beyond_since_s = None
        elif self._beyond_since_s is None:
            self._beyond_since_s = time_s
        if touch := self._touch():
            self._end(False, f"touched: {touch}", touched=True)
        elif tool[2] > FIELD.cylinder_height:
            self._end(False, "lifted the rod over the field")
        elif self._beyond_since_s is not None and time_s - self._beyond_since_s >= FIELD.hold_s:
            self._end(True, "crossed")
        elif time_s >= FIELD.time_limit_s:
            self._end(False, f"not across after {FIELD.time_limit_s:g} s")

    @property
    def status(self) -> Status:
        """The verdict, or that the episode is still running."""
        return self._verdict or Status(False, False, False, None, "running")

    def _end(self, success: bool, reason: str, touched: bool = False) -> None:
        self._verdict = Status(success, touched, True, way(np.array(self._path)), reason)

    def _touch(self) -> str | None:
        """The two geoms of any active contact in the scene: at rest and in free motion none is."""
        data = self.sim.data._data
        for contact in data.contact if data.ncon else ():
            if contact.efc_address >= 0:
                names = map(self.sim.model.geom_id2name, contact.geom)
                return " and ".join(map(str, names))
        return None
