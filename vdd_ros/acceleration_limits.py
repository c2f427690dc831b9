"""AccelerationLimits: commands towards a target within position, velocity and acceleration limits.

In one control period dt a joint moves by at most v_max dt, that movement changes by at most
a_max dt^2, and it is never larger than what still lets the joint come to rest before its position
limit.
"""

from __future__ import annotations

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.step_limits import StepLimits


class AccelerationLimits:
    """See `safety.Motion`."""

    def __init__(self, contract: Contract):
        self._limits = StepLimits.of(contract)
        # in a period of the way to another speed, such that every joint can follow
        self._most_speed_change = (self._limits.change / self._limits.move).min()
        self.reset(np.zeros(contract.n_joints))

    def reset(self, position: np.ndarray) -> None:
        """Be at rest at `position` (Da,)."""
        self.position = position
        self.move = np.zeros_like(position)  # (Da,) last command minus the one before
        self._speed = self._speed_goal = 1.0  # share of the velocity limits
        self._most = self._limits.move  # (Da,) that share of the largest movement

    def limit_speed(self, share: float) -> None:
        """From now on velocity limits are that share; they get there in steps that every joint can
        brake, or speed up, within its acceleration limit."""
        self._speed_goal = share

    @property
    def at_rest(self) -> bool:
        """Whether the last command repeated the one before it."""
        return not self.move.any()

    def follow(self, target: np.ndarray, drift: np.ndarray) -> None:
        """One period towards `target` (Da,), which moves by `drift` (Da,) a period."""
        self._approach_speed()
        self._take(self._limited(self._approach(target, drift)))

    def brake(self) -> None:
        """One period of the ramp to rest."""
        most = self._limits.change
        self._take(self.move - np.minimum(np.maximum(self.move, -most), most))

    def _approach_speed(self) -> None:
        if self._speed != self._speed_goal:
            most = self._most_speed_change
            self._speed += min(max(self._speed_goal - self._speed, -most), most)
            self._most = self._speed * self._limits.move

    def _take(self, move: np.ndarray) -> None:
        self.position = self.position + move
        self.move = move

    def _approach(self, target: np.ndarray, drift: np.ndarray) -> np.ndarray:
        """(Da,) movement that reaches the target with the target's own velocity: no overshoot of
        one that stands still, no lag behind one that moves within the limits."""
        drift = self._within_speed(drift)
        gap = target - self.position - drift
        # All joints close the same share of their gap, the slowest one's: what the joints reach
        # one after the other is a pose that nobody asked for, and the tool leaves its path.
        distance = np.maximum(np.abs(gap), 1e-12)
        closed = np.minimum(_largest_move(distance, self._limits.change), self._most)
        return self._within_speed(drift + gap * (closed / distance).min())

    def _within_speed(self, move: np.ndarray) -> np.ndarray:
        """(Da,) slowed by one factor, so that its direction stays."""
        return move / max(1.0, (np.abs(move) / self._most).max())

    def _limited(self, move: np.ndarray) -> np.ndarray:
        most, most_change = self._most, self._limits.change
        # One factor for all joints turns the tool's velocity towards the wish; limited one by one,
        # the joints would turn it elsewhere first. The bounds below then only guard.
        change = move - self.move
        move = self.move + change / max(1.0, (np.abs(change) / most_change).max())
        move = np.maximum(move, np.maximum(self.move - most_change, -most))
        move = np.minimum(move, np.minimum(self.move + most_change, most))
        room = np.array([self.position - self._limits.lower, self._limits.upper - self.position])
        down, up = _largest_move(np.maximum(room, 0.0), most_change)
        return np.minimum(np.maximum(move, -down), up)


def _largest_move(room: np.ndarray, change: np.ndarray) -> np.ndarray:
    """The largest movement d in this period that can still come to rest within `room`.

    Braking adds d - c, d - 2c, ... after d; with n = floor(d / c) the whole way is
    (n + 1) d - c n (n + 1) / 2 = room, solved for d.
    """
    n = np.floor((np.sqrt(1.0 + 8.0 * room / change) - 1.0) / 2.0)
    return (room + change * n * (n + 1.0) / 2.0) / (n + 1.0)
