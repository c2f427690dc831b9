"""Plans of ruckig: the fastest way to a target, and the fastest stop.

Berscheid and Kroeger, Jerk-limited Real-time Trajectory Generation with Arbitrary Target States,
RSS 2021. Making one raises ImportError where ruckig is not installed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vdd_ros.contract import Contract

SAME = 1e-11  # positions this near are one [unit]; rounding is smaller, an error is larger


class State(NamedTuple):
    """(Da,) each: [unit], [unit/s], [unit/s^2]."""

    position: np.ndarray
    velocity: np.ndarray
    acceleration: np.ndarray

    @classmethod
    def at_rest(cls, position: np.ndarray) -> State:
        """Nothing moves."""
        return cls(position, np.zeros_like(position), np.zeros_like(position))


class _Solver:
    """ruckig for n joints: what is asked for is `task`, what was found `plan`."""

    def __init__(self, n: int):
        import ruckig

        self.task, self.plan = ruckig.InputParameter(n), ruckig.Trajectory(n)
        self._generator = ruckig.Ruckig(n, 1.0)  # the period matters to its `update` alone
        # ValueError: it has codes of failure that its Python side has no names for
        self._failures = ruckig.RuckigError, ValueError
        self._successes = ruckig.Result.Working, ruckig.Result.Finished

    def solve(self) -> bool:
        """Whether there is a motion, which is then `plan`."""
        try:
            return self._generator.calculate(self.task, self.plan) in self._successes
        except self._failures:
            return False


class FastestWay:
    """One control period of the fastest way to a target, which may move."""

    def __init__(self, contract: Contract):
        self._dt = 1.0 / contract.rates.control_hz
        self._v, self._a, self._j = map(contract.limit, ("velocity", "acceleration", "jerk"))
        self._free, self._line = _Solver(contract.n_joints), _Solver(1)
        self._free.task.max_jerk = self._j.tolist()
        self._full_v = self._v

    def limit_speed(self, share: float) -> None:
        """Plan with that share of the velocity limits; what is faster is braked first."""
        self._v = share * self._full_v

    def step(self, state: State, target: State) -> State | None:
        """The state one period after `state`, None where ruckig knows no way.

        target: how the target moves at the end of the period, slower than the joints can. The way
        is planned as it is seen from the target, which goes on as it accelerates: met in motion, it
        is not lagged behind, nor is room to brake taken for what the target needs itself.
        """
        dt, a = self._dt, target.acceleration
        gap = state.position - (target.position - dt * (target.velocity - a * dt / 2.0))
        closing = state.velocity - (target.velocity - a * dt)
        seen = np.array([gap, closing * dt, (state.acceleration - a) * dt**2])  # (3, Da) [unit]
        sizes = np.abs(seen).max(axis=1)
        if sizes.max() <= SAME:
            return target
        # What begins on a line, from rest to a target that stands or with one that moves to one
        # that moves otherwise, stays on it: joint by joint the tool would leave its path.
        line = seen[sizes.argmax()] / sizes.max()  # (Da,) at most 1
        along = seen @ line / (line @ line)  # (3,) [unit]
        if np.abs(seen - along[:, None] * line).max() <= SAME:
            way = self._along(line, along, target)
        else:
            way = self._freely(State(gap, closing, state.acceleration - a), target)
        return None if way is None else State(*map(np.add, target, way))

    def _along(self, line: np.ndarray, along: np.ndarray, target: State) -> State | None:
        """On a line (Da,), as fast as its most limited joint allows."""
        side, share = np.sign(line), np.maximum(np.abs(line), 1e-300)
        v, a = side * target.velocity, side * target.acceleration
        limits = np.array([self._v - v, self._v + v, self._a - a, self._a + a, self._j]) / share
        v_ahead, v_back, a_ahead, a_back, j = limits.min(axis=1).tolist()
        task = self._line.task
        task.max_velocity, task.min_velocity = [v_ahead], [-v_back]
        task.max_acceleration, task.min_acceleration = [a_ahead], [-a_back]
        task.max_jerk = [j]
        task.current_position = [along[0]]
        task.current_velocity = [along[1] / self._dt]
        task.current_acceleration = [along[2] / self._dt**2]
        if not self._line.solve():
            return None
        return State(*(value[0] * line for value in self._line.plan.at_time(self._dt)))

    def _freely(self, seen: State, target: State) -> State | None:
        """Each joint for itself, but so that all arrive together."""
        task = self._free.task
        task.max_velocity = (self._v - target.velocity).tolist()
        task.min_velocity = (-self._v - target.velocity).tolist()
        task.max_acceleration = (self._a - target.acceleration).tolist()
        task.min_acceleration = (-self._a - target.acceleration).tolist()
        task.current_position = seen.position.tolist()
        task.current_velocity = seen.velocity.tolist()
        task.current_acceleration = seen.acceleration.tolist()
        if not self._free.solve():
            return None
        return State(*np.array(self._free.plan.at_time(self._dt)))


class FastestStop:
    """Every joint comes to rest as fast as it can, from the state it was found for."""

    def __init__(self, contract: Contract):
        import ruckig

        self._j = contract.limit("jerk")
        self._solver = _Solver(contract.n_joints)
        task = self._solver.task
        task.control_interface = ruckig.ControlInterface.Velocity
        task.synchronization = ruckig.Synchronization.No
        task.max_acceleration, task.max_jerk = (
            contract.limit("acceleration").tolist(),
            self._j.tolist(),
        )
        self.find(State.at_rest(np.zeros(contract.n_joints)))

    def find(self, state: State) -> bool:
        """Look for the stop from a state; False where ruckig knows none."""
        self._begin = state
        self._solver.task.current_velocity = state.velocity.tolist()
        self._solver.task.current_acceleration = state.acceleration.tolist()
        return self._solver.solve()

    def at(self, time_s: float) -> State:
        """The state that long after the beginning; at the end exactly at rest, where what is left
        of the velocity is rounding."""
        way, velocity, acceleration = np.array(self._solver.plan.at_time(time_s))
        position = self._begin.position + way
        if self.is_over(time_s):
            return State.at_rest(position)
        return State(position, velocity, acceleration)

    def is_over(self, time_s: float) -> bool:
        """Whether all joints are at rest that long after the beginning."""
        return time_s >= self._solver.plan.duration

    def fastest(self) -> np.ndarray:
        """(Da,) the largest velocity on the way, that at which a joint no longer accelerates where
        it still did. [unit/s]"""
        _, v, a = self._begin
        return np.maximum(np.abs(v), np.abs(v + a * np.abs(a) / (2.0 * self._j)))

    def extremes(self) -> np.ndarray:
        """(N, Da) positions that include the lowest and the highest on the way: where it begins,
        where it ends, and where a joint turns round that moves back before it rests, because it
        brakes too hard not to. [unit]"""
        begin, v, a = self._begin
        end = self._solver.plan.at_time(self._solver.plan.duration)[0]
        left = a**2 - 2.0 * self._j * np.abs(v)
        turns = (v * a < 0.0) & (left > 0.0)
        # (ruckig's own position_extrema does not count the end of a stop)
        if not turns.any():
            return begin + np.array([np.zeros_like(v), end])
        t = np.where(turns, (np.abs(a) - np.sqrt(np.abs(left))) / self._j, 0.0)  # [s]
        turn = t * (v + t * (a / 2.0 - t * np.sign(a) * self._j / 6.0))
        return begin + np.array([np.zeros_like(v), end, turn])
