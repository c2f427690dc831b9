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
CATCH_UP = 0.99  # share of the velocity at which a target is met at most
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
        # ValueError: it has codes of failure that its Python side has no names for
        self._unsolved = ruckig.RuckigError, ValueError
        to_target, to_rest = ruckig.InputParameter(n), ruckig.InputParameter(n)
        self._low, self._high = self._limits.lower + MARGIN, self._limits.upper - MARGIN
        self._line_generator = ruckig.Ruckig(1, self._dt)
        self._on_line, self._line_plan = ruckig.InputParameter(1), ruckig.Trajectory(1)
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
        self._stop_from = (
            position  # (Da,) where the stop begins; the trajectory is the way from there
        )
        self._braked_s: float | None = None  # so far along the stop; None: there is nothing to stop

    @property
    def at_rest(self) -> bool:
        """Whether the last command repeated the one before it, with nothing left to stop."""
        return self._braked_s is None and not self.move.any()

    def follow(self, target: np.ndarray, drift: np.ndarray) -> None:
        """One period towards `target` (Da,), which moves by `drift` (Da,) a period."""
        target = np.minimum(np.maximum(target, self._low), self._high)
        velocity = self._velocity(target, drift)
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
        way, velocity, acceleration = map(np.array, self._stop.at_time(self._braked_s))
        if self._braked_s < self._stop.duration:
            self._take(_State(self._stop_from + way, velocity, acceleration))
        else:  # exactly at rest: what is left of the velocity is rounding
            self._braked_s = None
            self._take(_at_rest(self._stop_from + way))

    def _velocity(self, target: np.ndarray, drift: np.ndarray) -> np.ndarray:
        """(Da,) velocity at which a target is met: its own [unit/s], as far as one can stop from it
        and still catch up. One that moves faster than the joints may has jumped, and stands."""
        if not drift.any() or (np.abs(drift) > self._limits.move).any():
            return np.zeros_like(drift)
        room = np.where(drift > 0.0, self._high - target, target - self._low)
        most = np.minimum(_stoppable(np.maximum(room, 0.0), self._a, self._j), CATCH_UP * self._v)
        return np.minimum(np.maximum(drift / self._dt, -most), most)

    def _try(self, target: np.ndarray, velocity: np.ndarray) -> bool:
        """Take one period of the way to the target (Da,), at which its velocity (Da,) is met; False
        where there is no way, or the arm could not stop after that period."""
        state = self._towards(target, velocity)
        if state is None or not self._keeps_limits(state.position) or not self._can_stop(state):
            return False
        self._stop, self._next_stop = self._next_stop, self._stop
        self._stop_from, self._braked_s = state.position, 0.0
        self._take(state)
        return True

    def _towards(self, target: np.ndarray, velocity: np.ndarray) -> _State | None:
        """The state one period along the fastest way to the target, as seen from the target, which
        is there at the end of the period: met in motion, it is not lagged behind."""
        gap = self._state.position - (target - velocity * self._dt)
        closing, acceleration = self._state.velocity - velocity, self._state.acceleration
        # What begins on a line, from rest to a target that stands or from one that moves to one
        # that moves otherwise, stays on it: joint by joint the tool would leave its path.
        seen = np.array([gap, closing * self._dt, acceleration * self._dt**2])  # (3, Da) [unit]
        if np.abs(seen).max() <= SAME:
            return _State(target, velocity, np.zeros_like(target))
        line = seen[np.abs(seen).max(1).argmax()]
        line = line / np.abs(line).max()
        along = seen @ line / (line @ line)
        if np.abs(seen - along[:, None] * line).max() <= SAME:
            found = self._along(line, along, velocity)
        else:
            found = self._freely(gap, closing, acceleration, velocity)
        if found is None:
            return None
        gap, closing, acceleration = found
        return _State(target + gap, velocity + closing, acceleration)

    def _along(self, line: np.ndarray, along: np.ndarray, velocity: np.ndarray):
        """One period of the fastest way on a line (Da,): position, velocity and acceleration."""
        share = np.abs(line)
        ahead, back = self._v - np.sign(line) * velocity, self._v + np.sign(line) * velocity
        limits = np.array([ahead, back, self._a, self._j]) / np.maximum(share, 1e-300)
        most_ahead, most_back, a, j = limits.min(1).tolist()
        task = self._on_line
        task.max_velocity, task.min_velocity = [most_ahead], [-most_back]
        task.max_acceleration, task.max_jerk = [a], [j]
        task.current_position = [along[0]]
        task.current_velocity = [along[1] / self._dt]
        task.current_acceleration = [along[2] / self._dt**2]
        if not self._solved(self._line_generator, task, self._line_plan):
            return None
        return [value[0] * line for value in self._line_plan.at_time(self._dt)]

    def _freely(
        self, gap: np.ndarray, closing: np.ndarray, acceleration: np.ndarray, velocity: np.ndarray
    ):
        """The same where there is no line, each joint by itself; they arrive together."""
        task = self._to_target
        task.current_position = gap.tolist()
        task.current_velocity = closing.tolist()
        task.current_acceleration = acceleration.tolist()
        task.max_velocity = (self._v - velocity).tolist()
        task.min_velocity = (-self._v - velocity).tolist()
        if not self._solved(self._generator, task, self._plan):
            return None
        return map(np.array, self._plan.at_time(self._dt))

    def _solved(self, generator, task, trajectory) -> bool:
        """Whether ruckig knows a motion for the task, which is then in `trajectory`."""
        try:
            generator.calculate(task, trajectory)
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
        task.current_velocity = state.velocity.tolist()
        task.current_acceleration = state.acceleration.tolist()
        if not self._solved(self._generator, task, self._next_stop):
            return False
        end = self._next_stop.at_time(self._next_stop.duration)[0]
        visited = state.position + np.array([np.zeros_like(end), end, self._turning(state)])
        lower = np.minimum(self._limits.lower, self.position)
        upper = np.maximum(self._limits.upper, self.position)
        return bool((visited >= lower).all() and (visited <= upper).all())

    def _turning(self, state: _State) -> np.ndarray:
        """(Da,) how far a joint gets until it turns round before it rests, 0 where it does not: it
        brakes so hard that it is moving back when it no longer accelerates. [unit]"""
        _, v, a = state
        left = a**2 - 2.0 * self._j * np.abs(v)
        turns = (v * a < 0.0) & (left > 0.0)
        if not turns.any():
            return np.zeros_like(v)
        t = (np.abs(a) - np.sqrt(np.maximum(left, 0.0))) / self._j
        return np.where(turns, t * (v + t * (a / 2.0 - t * np.sign(a) * self._j / 6.0)), 0.0)

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
