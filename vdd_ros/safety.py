"""SafetyFilter: the last word on every position command before it reaches the robot.

All limits are held against the last command sent, never against the measured position: what the
controller below interpolates from is the command. In one control period dt a joint moves by at
most v_max dt, that movement changes by at most a_max dt^2, and it is never larger than what still
lets the joint come to rest before its position limit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vdd_ros.contract import Contract


class SafeCommand(NamedTuple):
    """position: (Da,) to send now [unit]; limited: which limits shaped it; refused: why the target
    was not followed at all (the command then is one period of braking)."""

    position: np.ndarray
    limited: tuple[str, ...] = ()
    refused: str | None = None


class SafetyFilter:
    """Targets in, commands out, one nominal control period apart. Call `reset` before anything."""

    def __init__(self, contract: Contract):
        dt = 1.0 / contract.rates.control_hz
        self.lower = contract.limit("lower")  # (Da,) [unit]
        self.upper = contract.limit("upper")  # (Da,) [unit]
        self.max_move = contract.limit("velocity") * dt  # (Da,) [unit] per period, allowed now
        self.max_change = contract.limit("acceleration") * dt**2  # (Da,) [unit] per period, squared
        self._full_move = self.max_move
        self._speed = self._speed_goal = 1.0  # share of the velocity limits
        self.position: np.ndarray | None = None  # (Da,) last command sent
        self._move = np.zeros(contract.action_dim)  # (Da,) last command minus the one before
        self._target: np.ndarray | None = None  # (Da,) last target followed

    def reset(self, position: np.ndarray) -> None:
        """Begin at rest at `position` (Da,), which may lie outside the limits, but never leaves
        them further."""
        if position.shape != self.lower.shape or not np.isfinite(position).all():
            raise ValueError(f"cannot begin at {position}: {self.lower.size} finite numbers needed")
        self.position = np.array(position, dtype=np.float64)
        self._move = np.zeros_like(self._move)
        self._target = None
        self._speed_goal = 1.0
        self._set_speed(1.0)

    def limit_speed(self, share: float) -> None:
        """From now on velocity limits are that share (above 0, to 1) of the contract's. They get
        there in steps that every joint can brake, or speed up, within its acceleration limit."""
        self._speed_goal = share

    def _set_speed(self, share: float) -> None:
        self._speed = share
        self.max_move = share * self._full_move

    def _approach_speed(self) -> None:
        if self._speed != self._speed_goal:
            most = (self.max_change / self._full_move).min()
            change = min(max(self._speed_goal - self._speed, -most), most)
            self._set_speed(self._speed + change)

    @property
    def at_rest(self) -> bool:
        """Whether the last command repeated the one before it."""
        return not self._move.any()

    def step(self, target: np.ndarray) -> SafeCommand:
        """Follow `target` (Da,) for one period; a target of wrong size or not finite is refused."""
        self._approach_speed()
        if target.shape != self.lower.shape:
            return self.brake()._replace(refused="wrong_size")
        if not np.isfinite(target).all():
            return self.brake()._replace(refused="not_finite")
        allowed = np.minimum(np.maximum(target, self.lower), self.upper)
        return self._send(self._limit(self._approach(allowed)), target)

    def brake(self) -> SafeCommand:
        """One period of the ramp to rest from the last command sent."""
        change = np.minimum(np.maximum(self._move, -self.max_change), self.max_change)
        self._target = None
        return self._send(self._move - change, None)

    def _approach(self, target: np.ndarray) -> np.ndarray:
        """(Da,) movement that reaches the target with the target's own velocity: no overshoot of
        one that stands still, no lag behind one that moves within the limits."""
        drift = np.zeros_like(target) if self._target is None else target - self._target
        drift = self._within_speed(drift)
        gap = target - self.position - drift
        self._target = target
        # All joints close the same share of their gap, the slowest one's: what the joints reach
        # one after the other is a pose that nobody asked for, and the tool leaves its path.
        distance = np.maximum(np.abs(gap), 1e-12)
        closed = np.minimum(_largest_move(distance, self.max_change), self.max_move)
        return self._within_speed(drift + gap * (closed / distance).min())

    def _within_speed(self, move: np.ndarray) -> np.ndarray:
        """(Da,) slowed by one factor, so that its direction stays."""
        return move / max(1.0, (np.abs(move) / self.max_move).max())

    def _limit(self, move: np.ndarray) -> np.ndarray:
        # One factor for all joints turns the tool's velocity towards the wish; limited one by one,
        # the joints would turn it elsewhere first. The bounds below then only guard.
        change = move - self._move
        move = self._move + change / max(1.0, (np.abs(change) / self.max_change).max())
        move = np.maximum(move, np.maximum(self._move - self.max_change, -self.max_move))
        move = np.minimum(move, np.minimum(self._move + self.max_change, self.max_move))
        room = np.array([self.position - self.lower, self.upper - self.position])
        down, up = _largest_move(np.maximum(room, 0.0), self.max_change)
        return np.minimum(np.maximum(move, -down), up)

    def _send(self, move: np.ndarray, target: np.ndarray | None) -> SafeCommand:
        limited = () if target is None else self._reasons(move, target)
        self.position = self.position + move
        self._move = move
        return SafeCommand(self.position, limited)

    def _reasons(self, move: np.ndarray, target: np.ndarray) -> tuple[str, ...]:
        """Which limits stand between the target and the movement taken, for the record."""
        wish = target - self.position
        if (np.abs(wish - move) <= 1e-12).all():
            return ()
        over = {
            "position": (target < self.lower) | (target > self.upper),
            "velocity": np.abs(wish) > self.max_move,
            "acceleration": np.abs(wish - self._move) > self.max_change,
        }
        return tuple(name for name, where in over.items() if where.any())


def _largest_move(room: np.ndarray, change: np.ndarray) -> np.ndarray:
    """The largest movement d in this period that can still come to rest within `room`.

    Braking adds d - c, d - 2c, ... after d; with n = floor(d / c) the whole way is
    (n + 1) d - c n (n + 1) / 2 = room, solved for d.
    """
    n = np.floor((np.sqrt(1.0 + 8.0 * room / change) - 1.0) / 2.0)
    return (room + change * n * (n + 1.0) / 2.0) / (n + 1.0)
