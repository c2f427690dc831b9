"""Homing: the arm to where demonstrations began, as a policy like any other.

So it goes through the same loop, gate, guards and recorder. The way is straight in joint space,
with the profile of least jerk (Flash and Hogan 1985), s(t) = 10 t^3 - 15 t^4 + 6 t^5, whose largest
velocity is 15 / 8, acceleration 10 / sqrt(3) and jerk 60, in units of distance and duration. It
begins where the gate does, which need not be where an arm that lags or sags is measured, and goes
on by a period with each command that leaves. Nothing looks at what is in the way.
"""

from __future__ import annotations

import math

import numpy as np

from vdd_ros.acting import ActingRule
from vdd_ros.action_loop import ActionLoop
from vdd_ros.command_gate import HELD_WITHIN, CommandGate
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.inference import Expert, OnnxDensity, PolicyOutput

PEAK_VELOCITY, PEAK_ACCELERATION, PEAK_JERK = 15.0 / 8.0, 10.0 / math.sqrt(3.0), 60.0
RULE = ActingRule()  # one expert, replanned at every tick, followed at once
HELD_S = 0.3  # at the goal, before it counts as reached: an arm lags behind its commands
# Of the largest movement in a period, by which commands may be behind the way: more is made up for
# by nobody, the way begins anew there. After a pause the gate goes on from rest.
MOST_BEHIND = 0.5


class Homing:
    """A policy of one expert: from where the gate begins to `goal` (Da,) [unit].

    share: of the contract's limits of velocity, acceleration and jerk. Use it with
    `homing_contract`, once, and let it `attend` to the gate of its loop before the first tick.
    """

    n_obs_steps, horizon, n_experts = 1, 2, 1
    noise_shape: tuple[int, ...] | None = None
    density: OnnxDensity | None = None
    expert: Expert | None = None

    def __init__(self, contract: Contract, goal: np.ndarray, share: float):
        self.action_dim = contract.n_joints
        self._goal, self._share = goal, share
        self._lower, self._upper = contract.limit("lower"), contract.limit("upper")
        self._velocity = share * contract.limit("velocity")
        self._acceleration = share * contract.limit("acceleration")
        self._jerk = share * contract.limit("jerk") if contract.limits_jerk else None
        self._tick_s = contract.control_period_ns * 1e-9
        self._step_s = contract.policy_period_ns * 1e-9
        self._most_behind = MOST_BEHIND * self._velocity * self._tick_s
        self._gate: CommandGate | None = None
        self._begin: np.ndarray | None = None
        self._duration_s = 0.0
        self._passed_s = 0.0  # since it began, by the control period
        self._sent_ns: int | None = None  # when the last command left that it has taken note of

    def attend(self, gate: CommandGate) -> None:
        """Begin where this gate does, and go on as it does."""
        self._gate = gate

    @property
    def arrived(self) -> bool:
        """Whether the goal has been asked for long enough."""
        return self._begin is not None and self._passed_s > self._duration_s + HELD_S

    def infer(self, window: np.ndarray, noise: np.ndarray | None = None) -> PolicyOutput:
        """The next two steps of the way; to be asked at every tick. window: (1, Da) joints."""
        assert self._gate is not None, "it has to know where the gate begins"
        follows = self._gate.source == "policy"
        # a leader who takes the arm on its way is not slowed
        self._gate.filter.limit_speed(self._share if follows else 1.0)
        if follows:
            self._go_on(self._gate)
        if self._begin is None:
            return _output(np.tile(self._beginning(self._gate, window[-1]), (2, 1)))
        return _output(np.array([self._at(self._passed_s + k * self._step_s) for k in (0, 1)]))

    def _go_on(self, gate: CommandGate) -> None:
        """Take note of a command that has left, if one has."""
        assert gate.held is not None
        position, sent_ns = gate.held
        if sent_ns == self._sent_ns:
            return
        self._sent_ns = sent_ns
        if self._begin is None or self._is_behind(position):
            self._begin, self._passed_s = position.copy(), 0.0
            self._duration_s = self._time_for(np.abs(self._goal - position))
        self._passed_s += self._tick_s

    def _is_behind(self, position: np.ndarray) -> bool:
        asked = np.clip(self._at(self._passed_s), self._lower, self._upper)
        return bool((np.abs(asked - position) > self._most_behind).any())

    def _beginning(self, gate: CommandGate, seen: np.ndarray) -> np.ndarray:
        """Where the gate will begin: see `CommandGate._begin`."""
        measured, last = seen if gate.measured is None else gate.measured, gate.filter.position
        is_held = last is not None and np.abs(measured - last).max() <= HELD_WITHIN
        return last if last is not None and is_held else measured

    def _time_for(self, distance: np.ndarray) -> float:
        by_velocity = (PEAK_VELOCITY * distance / self._velocity).max()
        by_acceleration = np.sqrt(PEAK_ACCELERATION * distance / self._acceleration).max()
        by_jerk = 0.0 if self._jerk is None else np.cbrt(PEAK_JERK * distance / self._jerk).max()
        return float(max(by_velocity, by_acceleration, by_jerk))

    def _at(self, time_s: float) -> np.ndarray:
        assert self._begin is not None
        t = 1.0 if self._duration_s == 0.0 else min(1.0, time_s / self._duration_s)
        return self._begin + t**3 * (10.0 - 15.0 * t + 6.0 * t**2) * (self._goal - self._begin)


def _output(steps: np.ndarray) -> PolicyOutput:
    return PolicyOutput(np.zeros(1), steps[None])


def way_home(
    contract: Contract,
    goal: np.ndarray,
    share: float,
    held: tuple[np.ndarray, int] | None = None,
) -> tuple[Homing, ActionLoop]:
    """A way to `goal` (Da,) [unit] under a `homing_contract`, and the loop that goes it; held: as
    ActionLoop takes it."""
    homing = Homing(contract, goal, share)
    loop = ActionLoop(contract, homing, RULE, np.random.default_rng(0), held=held)
    homing.attend(loop.gate)
    return homing, loop


def homing_contract(contract: Contract) -> Contract:
    """The contract with nothing observed but where the joints are, now."""
    raw = contract.as_recorded().to_dict()
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
            f"{joint.lower:g} and {joint.upper:g}: correct home"
        )
    return pose
