"""JerkLimits: commands towards a target within position, velocity, acceleration and jerk limits.

ruckig plans the fastest motion to the target (Berscheid and Kroeger, Jerk-limited Real-time
Trajectory Generation with Arbitrary Target States, RSS 2021), anew in every control period, and one
period of it is taken. It knows no position limits. So a period is taken only if the fastest stop
after it keeps all limits, and else one more period of the stop found for the last one, which does:
the limits hold by induction, and braking needs no computation that could fail.

The planned motion has a continuous acceleration, through changes of plan too, and at all times
|q'| <= v_max, |q''| <= a_max, |q'''| <= j_max. Commands are its values, dt apart. Their n-th
difference is dt^n times an average of the n-th derivative (mean value theorem of divided
differences), hence at most v_max dt, a_max dt^2 and j_max dt^3.
"""

from __future__ import annotations

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.jerk_plans import SAME, FastestStop, FastestWay, State
from vdd_ros.step_limits import StepLimits

# Targets stay away from the position limits by this [unit], so that rounding takes no motion that
# ends at one for a motion that ends beyond it.
MARGIN = 1e-9
MOST_MET = 0.99  # share of its limits at which a joint meets a target, so that it catches up


class JerkLimits:
    """See `safety.Motion`. Raises ImportError where ruckig is not installed."""

    def __init__(self, contract: Contract):
        self._limits = StepLimits.of(contract)
        self._low, self._high = self._limits.lower + MARGIN, self._limits.upper - MARGIN
        self._v, self._a, self._j = map(contract.limit, ("velocity", "acceleration", "jerk"))
        self._dt = 1.0 / contract.rates.control_hz
        self._most_v = self._v + SAME / self._dt
        self._most_a = MOST_MET * self._a
        self._most_steps = SAME + np.array(self._limits[2:])  # (3, Da) [unit]
        self._way = FastestWay(contract)
        # the stop from the state that the last period towards a target ended in, and a spare one
        self._stop, self._next_stop = FastestStop(contract), FastestStop(contract)
        self.reset(np.zeros(contract.n_joints))

    def reset(self, position: np.ndarray) -> None:
        """Be at rest at `position` (Da,)."""
        self.position = position
        self.move = np.zeros_like(position)  # (Da,) last command minus the one before
        self._change = np.zeros_like(position)  # (Da,) that movement minus the one before
        self._drift = np.zeros_like(position)  # (Da,) how the target moved in the last period
        self._state = State.at_rest(position)
        self._braked_s: float | None = None  # how much of the stop is taken; None: all of it
        self.limit_speed(1.0)

    def limit_speed(self, share: float) -> None:
        """From now on ways are planned with that share of the velocity limits."""
        self._speed = share
        self._way.limit_speed(share)

    @property
    def at_rest(self) -> bool:
        """Whether the last command repeated the one before it, and nothing is left to stop."""
        return self._braked_s is None and not self.move.any()

    def follow(self, target: np.ndarray, drift: np.ndarray) -> None:
        """One period towards `target` (Da,), which moves by `drift` (Da,) a period."""
        target = np.minimum(np.maximum(target, self._low), self._high)
        moving = self._moving(target, drift)
        if moving is not None and self._approach(moving):
            return
        # to meet a target in motion may need more room than there is, or more velocity
        if not self._approach(State.at_rest(target)):
            self.brake()

    def brake(self) -> None:
        """One period of the fastest stop."""
        if self._braked_s is None:
            self._take(self._state)
            return
        self._braked_s += self._dt
        self._take(self._stop.at(self._braked_s))
        if self._stop.is_over(self._braked_s):
            self._braked_s = None

    def _moving(self, target: np.ndarray, drift: np.ndarray) -> State | None:
        """How a target moves at the end of the period, as far as the arm can stop from there and
        still catch up; None: as if it stood. One that moves faster than the joints can has jumped,
        and what accelerates faster than they can is noise, or a corner."""
        change, self._drift = drift - self._drift, drift
        if not drift.any() or (np.abs(drift) > self._speed * self._limits.move).any():
            return None
        acceleration = np.zeros_like(drift)
        if (np.abs(change) <= self._limits.change).all():
            acceleration = np.minimum(np.maximum(change / self._dt**2, -self._most_a), self._most_a)
        velocity = drift / self._dt + acceleration * self._dt / 2.0
        room = np.where(velocity > 0.0, self._high - target, target - self._low)
        most = _stoppable(np.maximum(room, 0.0), self._a, self._j)
        most = np.minimum(most, MOST_MET * self._speed * self._v)
        return State(target, np.minimum(np.maximum(velocity, -most), most), acceleration)

    def _approach(self, target: State) -> bool:
        """Take one period of the way to a target; False where there is none, or none after which
        the fastest stop keeps all limits."""
        state = self._way.step(self._state, target)
        if state is None or not self._keeps_limits(state.position):
            return False
        stop = self._next_stop
        if not stop.find(state) or not self._keeps_limits_until(stop):
            return False
        self._stop, self._next_stop = stop, self._stop
        self._braked_s = 0.0
        self._take(state)
        return True

    def _keeps_limits(self, position: np.ndarray) -> bool:
        """Whether a command (Da,) keeps the limits of its differences, as planned ones should."""
        move = position - self.position
        change = move - self.move
        steps = np.array([move, change, change - self._change])
        return bool((np.abs(steps) <= self._most_steps).all())

    def _keeps_limits_until(self, stop: FastestStop) -> bool:
        """Whether a stop stays within the position limits, or no further out than the arm is, and
        within those of velocity, which acceleration left over from a plan may still break."""
        visited = stop.extremes()
        lower = np.minimum(self._limits.lower, self.position)
        upper = np.maximum(self._limits.upper, self.position)
        inside = ((visited >= lower) & (visited <= upper)).all()
        return bool(inside and (stop.fastest() <= self._most_v).all())

    def _take(self, state: State) -> None:
        move = state.position - self.position
        self._change = move - self.move
        self.move, self.position, self._state = move, state.position, state


def _stoppable(room: np.ndarray, a: np.ndarray, j: np.ndarray) -> np.ndarray:
    """(Da,) the largest velocity without acceleration that can still come to rest within `room`.

    The stop is v / 2 times its time long, which is 2 sqrt(v / j) where a_max is not reached, else
    v / a + a / j; solved for v.
    """
    short = np.cbrt(room**2 * j)
    ramp = a / j
    long = a / 2.0 * (np.sqrt(ramp**2 + 8.0 * room / a) - ramp)
    return np.where(short <= a * ramp, short, long)
