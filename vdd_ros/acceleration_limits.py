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
    """See `safety.Motion`.

    A control tick waits for this, and for a handful of joints it is calls of numpy that take the
    time, not the numbers: what can be worked out for several things at once is.
    """

    def __init__(self, contract: Contract):
        self._limits = StepLimits.of(contract)
        # in a period of the way to another speed, such that every joint can follow
        self._most_speed_change = (self._limits.change / self._limits.move).min()
        self._room = np.zeros((3, contract.n_joints))
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
        drift = _slowed(drift, self._most)
        gap = target - self.position - drift
        distance, *_ = room = self._room_for(gap)
        closing, down, up = _largest_move(room, self._limits.change)
        # All joints close the same share of their gap, the slowest one's: what the joints reach
        # one after the other is a pose that nobody asked for, and the tool leaves its path. The
        # target is reached with its own velocity: no overshoot of one that stands still, no lag
        # behind one that moves within the limits.
        share = (np.minimum(closing, self._most) / distance).min()
        self._take(self._limited(_slowed(drift + gap * share, self._most), down, up))

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

    def _room_for(self, gap: np.ndarray) -> np.ndarray:
        """(3, Da) of ways: what is missing to the target, never 0, and to each end of the range."""
        room = self._room
        np.abs(gap, out=room[0])
        np.subtract(self.position, self._limits.lower, out=room[1])
        np.subtract(self._limits.upper, self.position, out=room[2])
        np.maximum(room[0], 1e-12, out=room[0])
        return np.maximum(room, 0.0, out=room)

    def _limited(self, move: np.ndarray, down: np.ndarray, up: np.ndarray) -> np.ndarray:
        most, most_change = self._most, self._limits.change
        # One factor for all joints turns the tool's velocity towards the wish; limited one by one,
        # the joints would turn it elsewhere first. The bounds below then only guard.
        move = self.move + _slowed(move - self.move, most_change)
        move = np.maximum(move, np.maximum(self.move - most_change, -most))
        move = np.minimum(move, np.minimum(self.move + most_change, most))
        return np.minimum(np.maximum(move, -down), up)


def _slowed(move: np.ndarray, most: np.ndarray) -> np.ndarray:
    """(Da,) at most `most` (Da,) everywhere, slowed by one factor, so that its direction stays."""
    factor = max((np.abs(move) / most).tolist())
    return move if factor <= 1.0 else move / factor


def _largest_move(room: np.ndarray, change: np.ndarray) -> np.ndarray:
    """The largest movement d in this period that can still come to rest within `room`.

    Braking adds d - c, d - 2c, ... after d; with n = floor(d / c) the whole way is
    (n + 1) d - c n (n + 1) / 2 = room, solved for d.
    """
    n = np.floor(np.sqrt(0.25 + 2.0 * room / change) - 0.5)
    return room / (n + 1.0) + 0.5 * change * n
