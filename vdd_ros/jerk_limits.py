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

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.jerk_plans import SAME, FastestStop, FastestWay, State
from vdd_ros.step_limits import StepLimits

# Targets stay away from the position limits by this [unit], so that rounding takes no motion that
# ends at one for a motion that ends beyond it.
MARGIN = 1e-9
MOST_MET = 0.99  # share of its velocity limit at which a joint meets a target, to catch up with it


class JerkLimits:
    """See `safety.Motion`. Raises ImportError where ruckig is not installed."""

    def __init__(self, contract: Contract):
        self._limits = StepLimits.of(contract)
        self._low, self._high = self._limits.lower + MARGIN, self._limits.upper - MARGIN
        self._v, self._a, self._j = map(contract.limit, ("velocity", "acceleration", "jerk"))
        self._dt = 1.0 / contract.rates.control_hz
        self._most_steps = SAME + np.array(self._limits[2:])  # (3, Da) [unit]
        self._way = FastestWay(contract)
        # the stop from the state that the last period towards a target ended in, and a spare one
        self._stop, self._next_stop = FastestStop(contract), FastestStop(contract)
        self.reset(np.zeros(contract.action_dim))

    def reset(self, position: np.ndarray) -> None:
        """Be at rest at `position` (Da,)."""
        self.position = position
        self.move = np.zeros_like(position)  # (Da,) last command minus the one before
        self._change = np.zeros_like(position)  # (Da,) that movement minus the one before
        self._state = State.at_rest(position)
        self._braked_s: float | None = None  # how much of the stop is taken; None: all of it

    @property
    def at_rest(self) -> bool:
        """Whether the last command repeated the one before it, and nothing is left to stop."""
        return self._braked_s is None and not self.move.any()

    def follow(self, target: np.ndarray, drift: np.ndarray) -> None:
        """One period towards `target` (Da,), which moves by `drift` (Da,) a period."""
        target = np.minimum(np.maximum(target, self._low), self._high)
        velocity = self._velocity(target, drift)
        if velocity.any() and self._approach(target, velocity):
            return
        # to meet a target in motion may need more room than there is, or more velocity
        if not self._approach(target, np.zeros_like(velocity)):
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

    def _velocity(self, target: np.ndarray, drift: np.ndarray) -> np.ndarray:
        """(Da,) velocity at which a target is met: its own, as far as the arm can stop from there
        and still catch up [unit/s]. A target that moves faster than the joints can has jumped."""
        if not drift.any() or (np.abs(drift) > self._limits.move).any():
            return np.zeros_like(drift)
        room = np.where(drift > 0.0, self._high - target, target - self._low)
        most = _stoppable(np.maximum(room, 0.0), self._a, self._j)
        most = np.minimum(most, MOST_MET * self._v)
        return np.minimum(np.maximum(drift / self._dt, -most), most)

    def _approach(self, target: np.ndarray, velocity: np.ndarray) -> bool:
        """Take one period of the way to a target (Da,) that moves at `velocity` (Da,); False where
        there is none, or none from which the arm can stop within its position limits."""
        state = self._way.step(self._state, target, velocity)
        if state is None or not self._keeps_limits(state.position):
            return False
        if not self._next_stop.find(state) or not self._is_inside(self._next_stop.extremes()):
            return False
        self._stop, self._next_stop = self._next_stop, self._stop
        self._braked_s = 0.0
        self._take(state)
        return True

    def _keeps_limits(self, position: np.ndarray) -> bool:
        """Whether a command (Da,) keeps the limits of its differences, as planned ones should."""
        move = position - self.position
        change = move - self.move
        steps = np.array([move, change, change - self._change])
        return bool((np.abs(steps) <= self._most_steps).all())

    def _is_inside(self, positions: np.ndarray) -> bool:
        """Whether positions (N, Da) are within the limits, or no further out than the arm is."""
        lower = np.minimum(self._limits.lower, self.position)
        upper = np.maximum(self._limits.upper, self.position)
        return bool(((positions >= lower) & (positions <= upper)).all())

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
