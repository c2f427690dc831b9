"""A simulated robot in the contract's terms: joints panda_joint1..7 in rad, times in ns or s."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import robosuite.macros

from vdd_ros.errors import UserError
from vdd_ros.sim.tasks import TASKS
from vdd_ros.sim.tasks.status import Status

JOINTS = tuple(f"panda_joint{i}" for i in range(1, 8))
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


@dataclass(frozen=True)
class JointReading:
    """One reading of the arm's encoders."""

    position: np.ndarray  # (7,) [rad]
    velocity: np.ndarray  # (7,) [rad/s]
    stamp_ns: int  # simulated time since the last reset


class RobosuiteEnv:
    """A robosuite task driven by absolute joint position targets.

    Args:
        task: name of an entry of TASKS.
        reset_noise_rad: std of the joint positions' noise at a reset (robosuite's default is 0.02).

    Raises UserError if there is no such task.
    """

    def __init__(self, task: str = "avoid", reset_noise_rad: float = 0.0):
        if task not in TASKS:
            raise UserError(f"unknown task {task!r}: choose one of {', '.join(TASKS)}")
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
        )
        model, gripper = self._env.robots[0].robot_model, self._env.robots[0].gripper["right"]
        self._base = self._env.sim.data.get_body_xpos(model.root_body).copy()
        self._tool = self._env.sim.model.site_name2id(gripper.important_sites["grip_site"])
        self.reset(seed=0)

    def reset(self, seed: int) -> None:
        """Back to the start pose at rest, time 0; `seed` decides all that is random."""
        self._env.rng = np.random.default_rng(seed)
        self._env.reset()
        self._steps = 0
        self._target = self.observe().position
        self._is_new_target = True
        self._env.watch(0.0, self.tool_position())

    def observe(self) -> JointReading:
        """What the joint encoders show now."""
        data = self._env.sim.data
        return JointReading(
            data.qpos[:7].copy(), data.qvel[:7].copy(), self._steps * PHYSICS_STEP_NS
        )

    def apply(self, q_target: np.ndarray) -> None:
        """Set the joint position target (7,) [rad]; it holds until the next call.

        Raises ValueError if the target is not seven finite numbers.
        """
        target = np.asarray(q_target, dtype=float)
        if target.shape != (7,) or not np.isfinite(target).all():
            raise ValueError(f"a joint target is 7 finite numbers in rad, got {q_target}")
        self._target, self._is_new_target = target.copy(), True

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
        self._env._pre_action(self._target, policy_step=self._is_new_target)
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
