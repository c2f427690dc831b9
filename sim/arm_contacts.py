"""ArmContacts: whether the simulated arm touches anything, wherever its joints are."""

from __future__ import annotations

import mujoco
import numpy as np

from vdd_ros.sim.env import RobosuiteEnv


class ArmContacts:
    """Of a task's scene as it is reset to; nothing is drawn, and no time passes.

    Args:
        env: the scene.
        model: it as MuJoCo has it, maybe with more in it.
    """

    def __init__(self, env: RobosuiteEnv, model: mujoco.MjModel):
        robot = env.task.robots[0].robot_model
        self._model, self._data = model, mujoco.MjData(model)
        self._places = [int(model.joint(name).qposadr[0]) for name in robot.joints]
        self._root = model.body_rootid[model.body(robot.root_body).id]
        self._others = env.task.sim.data.qpos.copy()

    @classmethod
    def of_task(cls, task: str) -> ArmContacts:
        """Raises UserError where there is no such task."""
        env = RobosuiteEnv(task)
        try:
            xml = env.task.sim.model.get_xml()
            return cls(env, mujoco.MjSpec.from_string(xml).compile())
        finally:
            env.close()

    @property
    def count(self) -> int:
        """J, joints of the arm."""
        return len(self._places)

    def touches(self, joints: np.ndarray) -> bool:
        """Whether the arm touches anything, or itself, with joints (J,) there [rad]."""
        self._data.qpos[: len(self._others)] = self._others
        self._data.qpos[self._places] = joints
        mujoco.mj_forward(self._model, self._data)
        geoms = self._data.contact.geom  # (contacts, 2)
        roots = self._model.body_rootid[self._model.geom_bodyid[geoms]]
        return bool((roots == self._root).any())
