"""Homing: the arm to where demonstrations began, as a policy like any other.

So it goes through the same loop, gate, guards and recorder. The way is straight in joint space,
with the profile of least jerk (Flash and Hogan 1985), s(t) = 10 t^3 - 15 t^4 + 6 t^5, whose largest
velocity is 15 / 8 and whose largest acceleration 10 / sqrt(3), in units of distance and duration.
Nothing looks at what is in the way.
"""

from __future__ import annotations

import math

import numpy as np

from vdd_ros.acting import ActingRule
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.inference import OnnxDensity, PolicyOutput

PEAK_VELOCITY, PEAK_ACCELERATION = 15.0 / 8.0, 10.0 / math.sqrt(3.0)
RULE = ActingRule()  # one expert, replanned at every tick, followed at once
HELD_S = 0.3  # at the goal, before it counts as reached: an arm lags behind its commands


class Homing:
    """A policy of one expert: from where it first sees the joints to `goal` (Da,) [unit].

    share: of the contract's velocity and acceleration limits. Use it with `homing_contract`, once.
    """

    n_obs_steps, horizon, n_experts = 1, 2, 1
    noise_shape: tuple[int, ...] | None = None
    density: OnnxDensity | None = None

    def __init__(self, contract: Contract, goal: np.ndarray, share: float):
        self.action_dim = contract.n_joints
        self._goal = goal
        self._velocity = share * contract.limit("velocity")
        self._acceleration = share * contract.limit("acceleration")
        self._tick_s = contract.control_period_ns * 1e-9
        self._step_s = contract.policy_period_ns * 1e-9
        self._begin: np.ndarray | None = None
        self._duration_s = 0.0
        self._passed_s = 0.0  # since the first look, by the control period

    @property
    def arrived(self) -> bool:
        """Whether the goal has been asked for long enough."""
        return self._begin is not None and self._passed_s > self._duration_s + HELD_S

    def infer(self, window: np.ndarray, noise: np.ndarray | None = None) -> PolicyOutput:
        """The next two steps of the way; to be asked at every tick. window: (1, Da) joints."""
        if self._begin is None:
            self._begin = window[-1].copy()
            self._duration_s = self._time_for(np.abs(self._goal - self._begin))
        steps = np.array([self._at(self._passed_s + k * self._step_s) for k in (0, 1)])
        self._passed_s += self._tick_s
        return PolicyOutput(np.zeros(1), steps[None])

    def _time_for(self, distance: np.ndarray) -> float:
        by_velocity = (PEAK_VELOCITY * distance / self._velocity).max()
        by_acceleration = np.sqrt(PEAK_ACCELERATION * distance / self._acceleration).max()
        return float(max(by_velocity, by_acceleration))

    def _at(self, time_s: float) -> np.ndarray:
        assert self._begin is not None
        t = 1.0 if self._duration_s == 0.0 else min(1.0, time_s / self._duration_s)
        return self._begin + t**3 * (10.0 - 15.0 * t + 6.0 * t**2) * (self._goal - self._begin)


def homing_contract(contract: Contract) -> Contract:
    """The contract with nothing observed but where the joints are, now."""
    raw = contract.of_joint_targets().to_dict()
    raw["observation"] = [{"name": "joints", "stream": "joint_state", "field": "position"}]
    return Contract.from_dict(raw, f"contract {contract.name}, for homing")


def require_pose(text: str, contract: Contract) -> np.ndarray:
    """(Da,) [unit] of numbers separated by spaces; raises UserError for what is no pose."""
    try:
        pose = np.array([float(word) for word in text.split()])
    except ValueError:
        pose = np.zeros(0)
    if pose.shape != (contract.n_joints,) or not np.isfinite(pose).all():
        raise UserError(f"home is {text!r}: write {contract.n_joints} numbers, one for each joint")
    beyond = (pose < contract.limit("lower")) | (pose > contract.limit("upper"))
    if beyond.any():
        joint = contract.joints[int(beyond.argmax())]
        raise UserError(
            f"home is {pose[beyond][0]:g} {joint.unit} for {joint.name}; its limits are "
            f"{joint.lower:g} and {joint.upper:g}"
        )
    return pose
