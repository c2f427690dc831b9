"""JerkLimits: commands towards a target within position, velocity, acceleration and jerk limits.

ruckig plans the fastest motion to the target (Berscheid and Kroeger, Jerk-limited Real-time
Trajectory Generation with Arbitrary Target States, RSS 2021), anew in every control period, and one
period of it is taken. It knows no position limits. So a period is taken only if the fastest stop
after it stays within them, and else one more period of the stop found for the last one, which does:
the limits hold by induction, and braking needs no computation that could fail.

The planned motion has a continuous acceleration, through changes of plan too, and at all times
|q'| <= v_max, |q''| <= a_max, |q'''| <= j_max. Commands are its values, dt apart. Their n-th
difference is dt^n times an average of the n-th derivative (mean value theorem of divided
differences), hence at most v_max dt, a_max dt^2 and j_max dt^3.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.step_limits import StepLimits

# Targets stay away from the position limits by this [unit], so that rounding takes no motion that
# ends at one for a motion that ends beyond it.
MARGIN = 1e-9
SAME = 1e-11  # positions this near are one [unit]; rounding is smaller, an error is larger


class _State(NamedTuple):
    """(Da,) each: [unit], [unit/s], [unit/s^2]."""

    position: np.ndarray
    velocity: np.ndarray
    acceleration: np.ndarray


class JerkLimits:
    """See `safety.Motion`. Raises ImportError where ruckig is not installed."""

    def __init__(self, contract: Contract):
        import ruckig

        n = contract.action_dim
        self._limits = StepLimits.of(contract)
        self._dt = 1.0 / contract.rates.control_hz
        self._v, self._a, self._j = (
            contract.limit(name) for name in ("velocity", "acceleration", "jerk")
        )
        self._generator = ruckig.Ruckig(n, self._dt)
        self._unsolved = ruckig.RuckigError
        to_target, to_rest = ruckig.InputParameter(n), ruckig.InputParameter(n)
        # Joints arrive together, where possible on a straight line, and not before the target does.
        to_target.synchronization = ruckig.Synchronization.Phase
        to_target.minimum_duration = self._dt
        to_rest.control_interface = ruckig.ControlInterface.Velocity
        to_rest.synchronization = ruckig.Synchronization.No  # each joint as fast as it can
        for task in (to_target, to_rest):
            task.max_velocity = self._v.tolist()
            task.max_acceleration = self._a.tolist()
            task.max_jerk = self._j.tolist()
        self._to_target, self._to_rest = to_target, to_rest
        self._plan = ruckig.Trajectory(n)
        # the fastest stop from the state for which it was found, and room to look for the next one
        self._stop, self._next_stop = ruckig.Trajectory(n), ruckig.Trajectory(n)
        self.reset(np.zeros(n))

    def reset(self, position: np.ndarray) -> None:
        """Be at rest at `position` (Da,)."""
        self.position = position
        self.move = np.zeros_like(position)  # (Da,) last command minus the one before
        self._change = np.zeros_like(position)  # (Da,) that movement minus the one before
        self._state = _State(position, np.zeros_like(position), np.zeros_like(position))
        self._braked_s: float | None = None  # so far along the stop; None: there is nothing to stop

    @property
    def at_rest(self) -> bool:
        """Whether the last command repeated the one before it, with nothing left to stop."""
        return self._braked_s is None and not self.move.any()

    def follow(self, target: np.ndarray, drift: np.ndarray) -> None:
        """One period towards `target` (Da,), which moves by `drift` (Da,) a period."""
        low, high = self._limits.lower + MARGIN, self._limits.upper - MARGIN
        target = np.minimum(np.maximum(target, low), high)
        most_down = _stoppable(np.maximum(target - low, 0.0), self._a, self._j)
        most_up = _stoppable(np.maximum(high - target, 0.0), self._a, self._j)
        velocity = np.minimum(np.maximum(drift / self._dt, -most_down), most_up)
        if velocity.any() and self._try(target, velocity):
            return
        # A moving target may need a run-up for which there is no room; one that stands does not.
        if not self._try(target, np.zeros_like(velocity)):
            self.brake()

    def brake(self) -> None:
        """One period of the fastest stop."""
        if self._braked_s is None:
            self._take(self._state)
            return
        self._braked_s += self._dt
        state = _State(*map(np.array, self._stop.at_time(self._braked_s)))
        if self._braked_s < self._stop.duration:
            self._take(state)
        else:  # exactly at rest: what is left of the velocity is rounding
            self._braked_s = None
            self._take(_at_rest(state.position))

    def _try(self, target: np.ndarray, velocity: np.ndarray) -> bool:
        """Take one period of the way to the target (Da,), at which its velocity (Da,) is met; False
        where there is no way, or the arm could not stop after that period."""
        state = self._towards(target, velocity)
        if state is None or not self._keeps_limits(state.position) or not self._can_stop(state):
            return False
        self._stop, self._next_stop = self._next_stop, self._stop
        self._braked_s = 0.0
        self._take(state)
        return True

    def _towards(self, target: np.ndarray, velocity: np.ndarray) -> _State | None:
        task = self._to_target
        position, task.current_velocity, task.current_acceleration = (
            values.tolist() for values in self._state
        )
        task.current_position = position
        task.target_position, task.target_velocity = target.tolist(), velocity.tolist()
        if not self._solved(task, self._plan):
            return None
        state = _State(*map(np.array, self._plan.at_time(self._dt)))
        arrives = self._plan.duration <= self._dt * (1.0 + 1e-9)
        if arrives and (np.abs(state.position - target) <= SAME).all():
            return _State(target, velocity, np.zeros_like(target))  # without its rounding
        return state

    def _solved(self, task, trajectory) -> bool:
        """Whether ruckig knows a motion for the task, which is then in `trajectory`."""
        try:
            self._generator.calculate(task, trajectory)
        except self._unsolved:
            return False
        return True

    def _keeps_limits(self, position: np.ndarray) -> bool:
        """Whether a command keeps the limits of its differences, as a plan should."""
        limits, move = self._limits, position - self.position
        change = move - self.move
        bend = change - self._change
        pairs = ((move, limits.move), (change, limits.change), (bend, limits.bend))
        return all((np.abs(value) <= most + SAME).all() for value, most in pairs)

    def _can_stop(self, state: _State) -> bool:
        """Whether the fastest stop from a state stays within the position limits, or no further
        outside than the arm already is; the stop is left in `_next_stop`."""
        task = self._to_rest
        position, task.current_velocity, task.current_acceleration = (
            values.tolist() for values in state
        )
        task.current_position = position
        if not self._solved(task, self._next_stop):
            return False
        way = self._next_stop.position_extrema
        low, high = np.array([[joint.min, joint.max] for joint in way]).T
        lower = np.minimum(self._limits.lower, self.position)
        upper = np.maximum(self._limits.upper, self.position)
        return bool((low >= lower).all() and (high <= upper).all())

    def _take(self, state: _State) -> None:
        move = state.position - self.position
        self._change = move - self.move
        self.move, self.position, self._state = move, state.position, state


def _at_rest(position: np.ndarray) -> _State:
    return _State(position, np.zeros_like(position), np.zeros_like(position))


def _stoppable(room: np.ndarray, a: np.ndarray, j: np.ndarray) -> np.ndarray:
    """(Da,) the largest velocity without acceleration that can still come to rest within `room`.

    The stop is v / 2 times its time long, which is 2 sqrt(v / j) where a_max is not reached, else
    v / a + a / j; solved for v.
    """
    short = np.cbrt(room**2 * j)
    ramp = a / j
    long = a / 2.0 * (np.sqrt(ramp**2 + 8.0 * room / a) - ramp)
    return np.where(short <= a * ramp, short, long)
