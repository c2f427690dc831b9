"""A simulated robot in the contract's terms: joints panda_joint1..7 in rad, panda_gripper as a
fraction (0 closed, 1 open) where the task has one, times in ns or s."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import robosuite.macros

from vdd_ros.errors import UserError
from vdd_ros.sim.tasks import TASKS
from vdd_ros.sim.tasks.status import Status

ARM = tuple(f"panda_joint{i}" for i in range(1, 8))
GRIPPER = "panda_gripper"
FINGER_M = 0.04  # the way of each of the two fingers
PHYSICS_STEP_NS = 5_000_000  # robosuite's Python loop is the cost: 2 ms would be 2.5 times slower
RATE_HZ = round(1e9 / PHYSICS_STEP_NS)

# Critically damped: the arm follows its target 2 / sqrt(kp) = 50 ms late and without overshoot.
# robosuite's default kp of 50 is 280 ms late.
CONTROLLER = {
    "type": "BASIC",
    "body_parts": {
        "right": {
            "type": "JOINT_POSITION",
            "input_type": "absolute",
            "impedance_mode": "fixed",
            "interpolation": None,
            "kp": 1600.0,
            "damping_ratio": 1.0,
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


class RobosuiteEnv:
    """A robosuite task driven by absolute joint position targets.

    Args:
        task: name of an entry of TASKS.
        reset_noise_rad: std of the joint positions' noise at a reset (robosuite's default is 0.02).

    Raises UserError if there is no such task.
    """

    def __init__(self, task: str = "avoid", reset_noise_rad: float = 0.0):
        self.joints = joints_of(task)
        robosuite.macros.SIMULATION_TIMESTEP = PHYSICS_STEP_NS / 1e9  # read when the model is made
        self._env = TASKS[task](
            robots="Panda",
            controller_configs=CONTROLLER,
            gripper_types=TASKS[task].gripper_type,
            initialization_noise={"magnitude": reset_noise_rad, "type": "gaussian"},
            use_camera_obs=False,
            has_offscreen_renderer=False,
            renderer="mujoco",
            control_freq=RATE_HZ,
            hard_reset=False,
            ignore_done=True,
            seed=0,  # of what is drawn when the model is made, such as a cube's size
        )
        model, gripper = self._env.robots[0].robot_model, self._env.robots[0].gripper["right"]
        self._base = self._env.sim.data.get_body_xpos(model.root_body).copy()
        self._tool = self._env.sim.model.site_name2id(gripper.important_sites["grip_site"])
        sim_model = self._env.sim.model
        self._fingers = [sim_model.actuator_name2id(name) for name in gripper.actuators]
        self.reset(seed=0)

    def reset(self, seed: int, scene: np.ndarray | None = None) -> None:
        """Back to the start pose at rest, time 0; `seed` decides all that is random.

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
        data = self._env.sim.data
        if scene.shape != data.qpos.shape or not np.isfinite(scene).all():
            raise UserError(
                f"a scene of {scene.size} numbers was given, this task's has {data.qpos.size} "
                f"finite ones: use a recording of this task"
            )
        data.qpos[:], data.qvel[:] = scene, 0.0
        self._env.sim.forward()

    def observe(self) -> JointReading:
        """What the joint encoders show now."""
        data = self._env.sim.data
        position, velocity = data.qpos[:7].copy(), data.qvel[:7].copy()
        if GRIPPER in self.joints:  # its fingers follow the arm; the second moves the other way
            position, velocity = (
                np.append(arm, (fingers[0] - fingers[1]) / (2.0 * FINGER_M))
                for arm, fingers in ((position, data.qpos[7:9]), (velocity, data.qvel[7:9]))
            )
        return JointReading(position, velocity, self._steps * PHYSICS_STEP_NS)

    def apply(self, target: np.ndarray) -> None:
        """Set the position target (J,) [rad, fraction]; it holds until the next call.

        Raises ValueError if the target is not one finite number for each joint.
        """
        target = np.asarray(target, dtype=float)
        if target.shape != (len(self.joints),) or not np.isfinite(target).all():
            raise ValueError(f"a target is {len(self.joints)} finite numbers, got {target}")
        self._action, self._is_new_target = target.copy(), True
        if self._fingers:
            way = FINGER_M * min(max(float(target[7]), 0.0), 1.0)
            self._finger_targets = (way, -way)
            self._action[7] = 0.0

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
        # robosuite.step() without its observables, and in another order: the first half of the
        # next physics step comes last, so that positions and contacts are those of now.
        self._env._pre_action(self._action, policy_step=self._is_new_target)
        if self._fingers:  # robosuite's own command only knows to open and to close
            self._env.sim.data.ctrl[self._fingers] = self._finger_targets
        self._env.sim.step2()
        self._env.sim.step1()
        self._is_new_target = False
        self._steps += 1
        self._env.watch(self._steps / RATE_HZ, self.tool_position())

    def tool_position(self) -> np.ndarray:
        """Tip of the tool in the base frame (3,) [m]."""
        return self._env.sim.data.site_xpos[self._tool] - self._base

    def status(self) -> Status:
        """How the episode stands."""
        return self._env.status

    def close(self) -> None:
        """Free the simulation; nothing may be called afterwards."""
        self._env.close()
