"""A simulated robot in the contract's terms: joints panda_joint1..7 in rad, panda_gripper as a
fraction (0 closed, 1 open) where the task has one, times in ns or s."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import mujoco
import numpy as np
import robosuite.macros

from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.sim.cameras import SimCameras
from vdd_ros.sim.joint_control import JointControl
from vdd_ros.sim.tasks import TASKS
from vdd_ros.sim.tasks.status import Status

ARM = tuple(f"panda_joint{i}" for i in range(1, 8))
GRIPPER = "panda_gripper"
FINGER_M = 0.04  # the way of each of the two fingers
PHYSICS_STEP_NS = 5_000_000
RATE_HZ = round(1e9 / PHYSICS_STEP_NS)

# Critically damped: the arm follows its target 2 / sqrt(kp) = 50 ms late and without overshoot.
# robosuite's default kp of 50 is 280 ms late.
KP, DAMPING_RATIO = 1600.0, 1.0
# The same for robosuite's own loop, which builds the model and is compared with.
CONTROLLER = {
    "type": "BASIC",
    "body_parts": {
        "right": {
            "type": "JOINT_POSITION",
            "input_type": "absolute",
            "impedance_mode": "fixed",
            "interpolation": None,
            "kp": KP,
            "damping_ratio": DAMPING_RATIO,
            "gripper": {"type": "GRIP"},
        }
    },
}


def joints_of(task: str) -> tuple[str, ...]:
    """The joints of a task's robot, in the simulator's order; UserError for an unknown task."""
    if task not in TASKS:
        raise UserError(f"unknown task {task!r}: choose one of {', '.join(TASKS)}")
    return (*ARM, GRIPPER) if TASKS[task].has_gripper else ARM


@dataclass(frozen=True)
class JointReading:
    """One reading of the robot's encoders, J joints."""

    position: np.ndarray  # (J,) [rad, fraction]
    velocity: np.ndarray  # (J,) per second
    stamp_ns: int  # simulated time since the last reset


def make_robosuite(task: str, control_hz: int = RATE_HZ, reset_noise_rad: float = 0.0):
    """The task as a robosuite environment; UserError if there is no such task."""
    joints_of(task)
    robosuite.macros.SIMULATION_TIMESTEP = PHYSICS_STEP_NS / 1e9  # read when the model is made
    return TASKS[task](
        robots="Panda",
        controller_configs=CONTROLLER,
        gripper_types=TASKS[task].gripper_type,
        initialization_noise={"magnitude": reset_noise_rad, "type": "gaussian"},
        use_camera_obs=False,
        has_offscreen_renderer=False,
        renderer="mujoco",
        control_freq=control_hz,
        hard_reset=False,
        ignore_done=True,
        seed=0,  # of what is drawn when the model is made, such as a cube's size
    )


class RobosuiteEnv:
    """A robosuite task driven by absolute joint position targets.

    robosuite makes the model and resets it; its own Python around each physics step, several times
    as long as the step itself, is replaced by `JointControl`, which does the same.

    Args:
        task: name of an entry of TASKS.
        reset_noise_rad: std of the joint positions' noise at a reset (robosuite's default is 0.02).

    Raises UserError if there is no such task.
    """

    def __init__(self, task: str = "avoid", reset_noise_rad: float = 0.0):
        self.task_name, self.joints = task, joints_of(task)
        self._env = make_robosuite(task, reset_noise_rad=reset_noise_rad)
        robot = self._env.robots[0]
        gripper = robot.gripper["right"]
        self._base = self._env.sim.data.get_body_xpos(robot.robot_model.root_body).copy()
        self._model, self._data = self._env.sim.model._model, self._env.sim.data._data
        self._arm = JointControl(
            self._model,
            self._data,
            tuple(robot.robot_model.joints),
            tuple(robot.robot_model.actuators),
            KP,
            DAMPING_RATIO,
        )
        self._tool = self._model.site(gripper.important_sites["grip_site"]).id
        self._fingers = [self._model.actuator(name).id for name in gripper.actuators]
        joints = [self._model.joint(name) for name in gripper.joints]
        self._finger_positions = [joint.qposadr[0] for joint in joints]
        self._finger_velocities = [joint.dofadr[0] for joint in joints]
        self.reset(seed=0)

    @property
    def task(self):
        """The task itself."""
        return self._env

    def reset(self, seed: int, scene: np.ndarray | None = None) -> None:
        """Back to the start pose at rest, time 0; `seed` decides all that is random, the context.

        scene: positions of everything in the simulation, as a recording has them, to begin with
        instead; raises UserError if they are not as many as this task has.
        """
        self._env.rng = np.random.default_rng(seed)
        self._env.reset()
        if scene is not None:
            self._put(scene)
        self._steps = 0
        self.apply(self.observe().position)
        self._env.watch(0.0, self.tool_position())

    def _put(self, scene: np.ndarray) -> None:
        data = self._data
        if scene.shape != data.qpos.shape or not np.isfinite(scene).all():
            raise UserError(
                f"a scene of {scene.size} numbers was given, this task's has {data.qpos.size} "
                f"finite ones: use a recording of this task"
            )
        data.qpos[:], data.qvel[:] = scene, 0.0
        self._env.sim.forward()

    def observe(self) -> JointReading:
        """What the joint encoders show now."""
        position, velocity = self._arm.position, self._arm.velocity
        if GRIPPER in self.joints:  # the second finger moves the other way
            one, two = self._data.qpos[self._finger_positions]
            position = np.append(position, (one - two) / (2.0 * FINGER_M))
            one, two = self._data.qvel[self._finger_velocities]
            velocity = np.append(velocity, (one - two) / (2.0 * FINGER_M))
        return JointReading(position, velocity, self._steps * PHYSICS_STEP_NS)

    def poses(self) -> np.ndarray:
        """(objects, 7) position [m, base frame] and quaternion x, y, z, w of the task's objects."""
        return self._env.poses()

    def cameras(self, contract: Contract) -> SimCameras:
        """The cameras of a contract; to be closed. Raises UserError where the simulation has no
        such cameras, or cannot draw."""
        return SimCameras(self._model, self._data, contract)

    def copy(self) -> mujoco.MjData:
        """Of its state, for who looks at it while it goes on."""
        return copy.copy(self._data)

    def copy_into(self, state: mujoco.MjData) -> None:
        """Its state as it is now, into an older copy of it."""
        mujoco.mj_copyData(state, self._model, self._data)

    def apply(self, target: np.ndarray) -> None:
        """Set the position target (J,) [rad, fraction]; it holds until the next call.

        Raises ValueError if the target is not one finite number for each joint.
        """
        target = np.asarray(target, dtype=float)
        if target.shape != (len(self.joints),) or not np.isfinite(target).all():
            raise ValueError(f"a target is {len(self.joints)} finite numbers, got {target}")
        self._target = target[: len(ARM)].copy()
        if self._fingers:
            way = FINGER_M * min(max(float(target[-1]), 0.0), 1.0)
            self._data.ctrl[self._fingers] = (way, -way)

    def advance(self, duration_s: float) -> None:
        """Let `duration_s` of simulated time pass; a multiple of the physics step.

        Raises ValueError if it is not.
        """
        steps = round(duration_s * RATE_HZ)
        if steps < 1 or abs(steps / RATE_HZ - duration_s) > 1e-9:
            raise ValueError(f"{duration_s} s is not a multiple of {1 / RATE_HZ} s")
        for _ in range(steps):
            self._step()

    def _step(self) -> None:
        # In another order than robosuite.step(): the first half of the next physics step comes
        # last, so that positions and contacts are those of now.
        self._arm.follow(self._target)
        mujoco.mj_step2(self._model, self._data)
        mujoco.mj_step1(self._model, self._data)
        self._steps += 1
        self._env.watch(self._steps / RATE_HZ, self.tool_position())

    def tool_position(self) -> np.ndarray:
        """Tip of the tool in the base frame (3,) [m]."""
        return self._data.site_xpos[self._tool] - self._base

    def status(self) -> Status:
        """How the episode stands."""
        return self._env.status

    def close(self) -> None:
        """Free the simulation; nothing may be called afterwards."""
        self._env.close()
