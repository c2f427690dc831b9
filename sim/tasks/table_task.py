"""TableTask: what the tasks have in common: a Panda at a table, things on it, and a verdict.

A task says what lies on the table (`things`), where, in a context (`place`), when an episode has
failed (`fault`), what is done (`progress`) and which of its declared modes was taken (`mode`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from robosuite.environments.manipulation.manipulation_env import ManipulationEnv
from robosuite.models.arenas import TableArena
from robosuite.models.objects import MujocoObject
from robosuite.models.tasks import ManipulationTask

from vdd_ros.sim.tasks.status import Status

TABLE_SIZE = (0.8, 0.8, 0.05)
TABLE_Z = 0.912  # [m] of link0 on robosuite's mount: the table is level with the robot's base
HOLD_S = 0.5  # a goal that is kept as long is reached (METRICS: Success)


class TableTask(ManipulationEnv):
    """The scene and its verdict; reset and stepped by `vdd_ros.sim.env.RobosuiteEnv`.

    Positions are in metres in the robot's base frame: x forward, y left, z up from the table.

    gripper_type  of robosuite, with has_gripper False for a rod
    start_q       (7,) [rad] the arm begins with
    objects       names of the bodies whose poses are observed, in this order
    n_modes       declared modes, 1 where there is nothing to choose
    contexts      how many a policy is judged in
    sub_tasks     how many are to be done for a success
    achieved      the reason that is told of a success
    """

    sim: Any  # robosuite leaves it untyped and empty until the model is loaded
    gripper_type, has_gripper = "RodGripper", False
    start_q: np.ndarray
    time_limit_s = 20.0
    achieved = "done"
    objects: tuple[str, ...] = ()
    n_modes = 1
    contexts = 20
    sub_tasks = 1

    def things(self) -> list[MujocoObject]:
        """What is on the table, new for each model."""
        raise NotImplementedError

    def place(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """A context: where each thing that can move begins, by its name, (4,) x, y, z of its
        centre [m] and its angle about z [rad]."""
        return {}

    def fault(self, tool: np.ndarray) -> str | None:
        """Why the episode has failed at this physics step, if it has; tool: (3,) its tip [m]."""
        return None

    def progress(self, tool: np.ndarray) -> int:
        """Sub-tasks that are done at this physics step."""
        raise NotImplementedError

    def mode(self) -> int | None:
        """Which of the declared modes was taken, 0 to n_modes - 1, None while undecided."""
        return 0

    def position(self, name: str) -> np.ndarray:
        """(3,) where a thing is [m]."""
        return self.sim.data._data.xpos[self._bodies[name]] - self.table_origin

    def rotation(self, name: str) -> np.ndarray:
        """(3, 3) how a thing is turned, its axes as columns."""
        return self.sim.data._data.xmat[self._bodies[name]].reshape(3, 3)

    def poses(self) -> np.ndarray:
        """(objects, 7) position [m] and quaternion x, y, z, w of what is observed."""
        data = self.sim.data._data
        bodies = [self._bodies[name] for name in self.objects]
        poses = np.empty((len(bodies), 7))
        poses[:, :3] = data.xpos[bodies] - self.table_origin
        poses[:, 3:] = data.xquat[bodies][:, [1, 2, 3, 0]]  # mujoco's begin with w
        return poses

    def contacts(self) -> list[tuple[str, str]]:
        """The names of the two geoms of each contact that is active now."""
        data = self.sim.data._data
        name = self.sim.model.geom_id2name
        return [
            (str(name(contact.geom[0])), str(name(contact.geom[1])))
            for contact in (data.contact if data.ncon else ())
            if contact.efc_address >= 0
        ]

    def _load_model(self):
        super()._load_model()
        robot = self.robots[0]
        base = np.array(robot.robot_model.base_xpos_offset["table"](TABLE_SIZE[0]))
        robot.robot_model.set_base_xpos(base)
        robot.init_qpos = self.start_q
        self.table_origin = base + (0.0, 0.0, TABLE_Z)
        arena = TableArena(table_full_size=TABLE_SIZE, table_offset=(0, 0, TABLE_Z))
        arena.set_origin([0, 0, 0])
        self._things = {thing.name: thing for thing in self.things()}
        self.model = ManipulationTask(arena, [robot.robot_model], list(self._things.values()))

    def _setup_references(self):
        super()._setup_references()
        model = self.sim.model
        self._bodies = {
            name: model.body_name2id(thing.root_body) for name, thing in self._things.items()
        }

    def _reset_internal(self):
        super()._reset_internal()
        for name, (x, y, z, angle) in self.place(self.rng).items():
            quat_wxyz = np.cos(angle / 2), 0.0, 0.0, np.sin(angle / 2)
            where = np.concatenate([self.table_origin + (x, y, z), quat_wxyz])
            self.sim.data.set_joint_qpos(self._things[name].joints[0], where)
        self._reached_s: float | None = None
        self._verdict: Status | None = None
        self.begin()

    def begin(self) -> None:
        """Forget the last episode."""

    def reward(self, action=None):
        """robosuite insists on one; the verdict is `status`."""
        return float(self.status.success)

    def watch(self, time_s: float, tool: np.ndarray) -> None:
        """Take in one physics step: its time [s] and the tool's tip (3,) [m, base frame]."""
        if self._verdict:
            return
        fault = self.fault(tool)
        done = self.progress(tool)
        if done < self.sub_tasks:
            self._reached_s = None
        elif self._reached_s is None:
            self._reached_s = time_s
        if fault is not None:
            self._verdict = Status(False, True, self.mode(), fault, done)
        elif self._reached_s is not None and time_s - self._reached_s >= HOLD_S:
            self._verdict = Status(True, True, self.mode(), self.achieved, done)
        elif time_s >= self.time_limit_s:
            late = f"not {self.achieved} after {self.time_limit_s:g} s"
            self._verdict = Status(False, True, self.mode(), late, done)

    @property
    def status(self) -> Status:
        """The verdict, or that the episode is still running."""
        return self._verdict or Status(False, False, None, "running")
