"""SafetyFilter: the last word on every position command before it reaches the robot.

All limits are held against the last command sent, never against the measured position: what the
controller below interpolates from is the command. Where every joint of the contract has a limit of
jerk and ruckig is installed, commands are those of `jerk_limits`, else those of
`acceleration_limits`.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import compress
from typing import NamedTuple, Protocol

import numpy as np

from vdd_ros.acceleration_limits import AccelerationLimits
from vdd_ros.contract import Contract
from vdd_ros.jerk_limits import JerkLimits
from vdd_ros.step_limits import StepLimits

LIMITS = ("position", "velocity", "acceleration", "jerk")
NO_RUCKIG = (
    "the contract's limits of jerk are not held, only its others: ruckig is not installed "
    "(pip install ruckig)"
)


class SafeCommand(NamedTuple):
    """position: (Da,) to send now [unit]; limited: which limits shaped it; refused: why the target
    was not followed at all (the command then is one period of braking)."""

    position: np.ndarray
    limited: tuple[str, ...] = ()
    refused: str | None = None


class Motion(Protocol):
    """How commands get to a target within limits; each call but `reset` is one control period."""

    position: np.ndarray
    """(Da,) the last command [unit]"""
    move: np.ndarray
    """(Da,) the last command minus the one before [unit]"""

    @property
    def at_rest(self) -> bool:
        """Whether the last command repeated the one before it, as the next one would, braked."""

    def reset(self, position: np.ndarray) -> None:
        """Be at rest at `position` (Da,)."""

    def follow(self, target: np.ndarray, drift: np.ndarray) -> None:
        """Towards `target` (Da,), within the position limits, which moves by `drift` a period."""

    def brake(self) -> None:
        """Towards rest."""

    def limit_speed(self, share: float) -> None:
        """From now on velocity limits are that share (above 0, to 1) of the contract's, as soon as
        the other limits allow for it; `reset` sets it free."""


class SafetyFilter:
    """Targets in, commands out, one nominal control period apart. Call `reset` before anything.

    lacking: what the contract asks for and cannot be held here, None if nothing.
    """

    def __init__(self, contract: Contract):
        self._limits = StepLimits.of(contract)
        self.lower, self.upper = self._limits.lower, self._limits.upper  # (Da,) [unit]
        self.max_move = self._limits.move  # (Da,) [unit] per period
        self.max_change = self._limits.change  # (Da,) [unit] per period, squared
        self._motion, self.lacking = _motion(contract)
        self.position: np.ndarray | None = None  # (Da,) last command sent
        most_bend = self._limits.bend if self._keeps_jerk else np.full_like(self.lower, np.inf)
        # (4, Da) what each of LIMITS lets through
        self._most = np.array([np.zeros_like(most_bend), self.max_move, self.max_change, most_bend])

    @property
    def holds(self) -> str:
        """Which limits commands keep."""
        return " ".join(LIMITS if self._keeps_jerk else LIMITS[:3])

    @property
    def _keeps_jerk(self) -> bool:
        return isinstance(self._motion, JerkLimits)

    def reset(self, position: np.ndarray) -> None:
        """Begin at rest at `position` (Da,), which may lie outside the limits, but never leaves
        them further."""
        if position.shape != self.lower.shape or not np.isfinite(position).all():
            raise ValueError(f"cannot begin at {position}: {self.lower.size} finite numbers needed")
        self.position = np.array(position, dtype=np.float64)
        self._motion.reset(self.position)
        self._change = np.zeros_like(self.lower)  # (Da,) last movement minus the one before
        self._target: np.ndarray | None = None  # (Da,) last target followed

    def stand(self) -> None:
        """The arm has come to rest at the last command by itself; go on from there."""
        if self.position is not None and not self.at_rest:
            self.reset(self.position)

    def limit_speed(self, share: float) -> None:
        """Approach targets at that share (above 0, to 1) of the velocity limits, without a jump;
        until it is called again, or `reset`."""
        self._motion.limit_speed(share)

    @property
    def move(self) -> np.ndarray:
        """(Da,) the last command minus the one before [unit]."""
        return self._motion.move

    @property
    def at_rest(self) -> bool:
        """Whether the last command repeated the one before it, as those to come would, braked."""
        return self._motion.at_rest

    def step(self, target: np.ndarray) -> SafeCommand:
        """Follow `target` (Da,) for one period; a target of wrong size or not finite is refused."""
        if target.shape != self.lower.shape:
            return self.brake()._replace(refused="wrong_size")
        if not np.isfinite(target).all():
            return self.brake()._replace(refused="not_finite")
        allowed = np.minimum(np.maximum(target, self.lower), self.upper)
        drift = np.zeros_like(allowed) if self._target is None else allowed - self._target
        self._target = allowed
        wish, move, change = target - self._motion.position, self._motion.move, self._change
        self._motion.follow(allowed, drift)
        return self._sent(move, self._reasons(target - allowed, wish, move, change))

    def brake(self) -> SafeCommand:
        """One period of the ramp to rest from the last command sent."""
        self._target = None
        move = self._motion.move
        self._motion.brake()
        return self._sent(move, ())

    def _sent(self, move: np.ndarray, limited: tuple[str, ...]) -> SafeCommand:
        self._change = self._motion.move - move
        self.position = self._motion.position
        return SafeCommand(self.position, limited)

    def _reasons(
        self, outside: np.ndarray, wish: np.ndarray, move: np.ndarray, change: np.ndarray
    ) -> tuple[str, ...]:
        """Which limits stood between the movement wished for, to as far `outside` the position
        limits, and the one taken, after `move`, which had changed by `change`, for the record."""
        if (np.abs(wish - self._motion.move) <= 1e-12).all():
            return ()
        asked = np.abs(np.array([outside, wish, wish - move, wish - move - change]))
        return tuple(compress(LIMITS, (asked > self._most).any(1).tolist()))


def _motion(contract: Contract) -> tuple[Motion, str | None]:
    """How commands keep the limits of a contract, and what cannot be kept."""
    if not contract.limits_jerk:
        return AccelerationLimits(contract), None
    try:
        return JerkLimits(contract), None
    except ImportError:
        return AccelerationLimits(contract), NO_RUCKIG


def safe_commands(
    contract: Contract, start: np.ndarray, targets: Iterable[np.ndarray | None]
) -> np.ndarray:
    """(N, Da) commands that answer N targets (Da,), one a control period, from rest at `start`
    (Da,) [unit]; None stands for a period in which nobody drives and the arm is braked.

    A pure function of its arguments, to be tried with any targets: `StepLimits.of(contract)` says
    by how much what it returns is beyond a limit.
    """
    limits = SafetyFilter(contract)
    limits.reset(start)
    sent = [limits.brake() if one is None else limits.step(one) for one in targets]
    return np.array([command.position for command in sent]).reshape(len(sent), len(start))
