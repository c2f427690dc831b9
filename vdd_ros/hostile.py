"""Hostile input for `safety.safe_commands`: robots, and targets that nobody should ever send them.

All randomness is an argument, so a sequence is known by the seed of its generator.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.safety import safe_commands
from vdd_ros.step_limits import StepLimits

Targets = list["np.ndarray | None"]  # (Da,) [unit] each, or nobody drives
NOT_FINITE = (np.nan, np.inf, -np.inf)
# the largest double, the largest that does not overflow when squared, the smallest normal one, the
# smallest of all, and a zero with a sign
STRANGE = (1.7976931348623157e308, -1e154, 2.2250738585072014e-308, 5e-324, -0.0)


class Sequence(NamedTuple):
    """Arguments of `safety.safe_commands`."""

    contract: Contract
    start: np.ndarray
    targets: Targets


def sequence(rng: np.random.Generator, jerk: bool, is_mutated: bool, steps: int) -> Sequence:
    """A robot, with limits of jerk or without, and `steps` targets or more: faults in a run that
    would be valid without them, or invented."""
    contract = robot(rng, jerk, joints=int(rng.choice([1, 2, 7])))
    limits = StepLimits.of(contract)
    at = start(rng, limits)
    with np.errstate(over="ignore"):  # more than the largest double is hostile as well
        targets = (mutated if is_mutated else invented)(rng, limits, at, steps)
    return Sequence(contract, at, targets)


def answer(sequence: Sequence) -> np.ndarray:
    """(N, Da) commands that answer a sequence, and then bring the arm to rest.

    Speed and acceleration gained in N periods are gone in 3 N: in N it no longer accelerates, by
    when it may have twice the speed, and that is lost in 2 N.
    """
    contract, start, targets = sequence
    return safe_commands(contract, start, [*targets, *[None] * (3 * len(targets) + 3)])


def excess(sequence: Sequence, commands: np.ndarray) -> dict[str, float]:
    """By how much these commands are beyond each limit [unit], and, as "rest", how far the arm
    still moves in the last period."""
    found = StepLimits.of(sequence.contract).excess(sequence.start, commands)
    return found | {"rest": float(np.abs(commands[-1] - commands[-2]).max())}


def robot(rng: np.random.Generator, jerk: bool, joints: int) -> Contract:
    """A contract with limits from timid to wild."""
    rates = {"control_hz": float(rng.choice([20.0, 100.0, 500.0, 1000.0])), "policy_hz": 10.0}
    stream = {"topic": "/x", "type": "sensor_msgs/msg/JointState", "rate_hz": 100.0}
    stream |= {"max_age_s": 0.1, "timeline": "header"}
    described = []
    for number in range(joints):
        limits = {
            "lower": rng.uniform(-3.0, -0.05),
            "upper": rng.uniform(0.05, 3.0),
            "velocity": _log_uniform(rng, 0.05, 10.0),
            "acceleration": _log_uniform(rng, 0.1, 100.0),
        }
        if jerk:
            limits["jerk"] = _log_uniform(rng, 0.5, 10_000.0)
        described.append({"name": f"joint{number}", "unit": "rad", **limits})
    return Contract.from_dict(
        {
            "format_version": 1,
            "name": "robot",
            "joints": described,
            "frames": {"base": "base", "tool": "tool"},
            "rates": rates,
            "streams": dict.fromkeys(["joint_state", "policy_command", "robot_command"], stream),
            "observation": [{"name": "q", "stream": "joint_state", "field": "position"}],
            "action": {"name": "q", "stream": "robot_command", "meaning": "absolute_position"},
        }
    )


def start(rng: np.random.Generator, limits: StepLimits) -> np.ndarray:
    """(Da,) anywhere within the position limits, at one, or a little outside [unit]."""
    at = limits.lower + rng.random(limits.lower.size) * (limits.upper - limits.lower)
    kind = rng.random()
    if kind < 0.1:
        return np.where(rng.random(at.size) < 0.5, limits.lower, limits.upper)
    if kind < 0.2:
        return limits.upper + rng.uniform(-0.05, 0.05, at.size)
    return at


def invented(rng: np.random.Generator, limits: StepLimits, at: np.ndarray, steps: int) -> Targets:
    """`steps` targets or more: pieces of a few periods each, one worse than the other."""
    targets: Targets = []
    while len(targets) < steps:
        targets += _piece(rng, limits, at, int(rng.integers(1, 41)))
    return targets


def mutated(rng: np.random.Generator, limits: StepLimits, at: np.ndarray, steps: int) -> Targets:
    """`steps` targets of a run within all limits, from rest at `at` (Da,), with 1 to 4 faults."""
    targets = valid_run(rng, limits, at, steps)
    for _ in range(int(rng.integers(1, 5))):
        _mutate(rng, limits, targets)
    return targets


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(math.exp(rng.uniform(math.log(low), math.log(high))))


def _anywhere(rng: np.random.Generator, limits: StepLimits) -> np.ndarray:
    """(Da,) within the position limits or up to half their range outside."""
    span = limits.upper - limits.lower
    return limits.lower + rng.uniform(-0.5, 1.5, span.size) * span


def _piece(
    rng: np.random.Generator, limits: StepLimits, at: np.ndarray, periods: int
) -> list[np.ndarray | None]:
    n, k = at.size, np.arange(periods)[:, None]
    goal, other = _anywhere(rng, limits), _anywhere(rng, limits)
    pace = rng.uniform(-3.0, 3.0, n) * limits.move
    kinds = (
        lambda: np.broadcast_to(goal, (periods, n)),
        lambda: goal + k * pace,
        lambda: np.where(k // rng.integers(1, 10) % 2, goal, other),
        lambda: goal + rng.normal(size=(periods, n)) * 10.0 ** rng.uniform(-12, 1),
        lambda: np.where(rng.random((periods, n)) < 0.5, limits.lower, limits.upper),
        lambda: rng.choice(STRANGE, (periods, n)),
        lambda: np.where(rng.random((periods, n)) < 0.3, rng.choice(NOT_FINITE), goal),
        lambda: rng.normal(size=(periods, n + int(rng.choice([-1, 1])))),
        lambda: [None] * periods,
    )
    return list(kinds[int(rng.integers(len(kinds)))]())


def valid_run(rng: np.random.Generator, limits: StepLimits, at: np.ndarray, steps: int) -> Targets:
    """Targets within all limits, but that they accelerate at once: each joint swings from `at` to
    where it can get and back, again and again."""
    turn = np.exp(rng.uniform(np.log(0.01), np.log(1.0), at.size))  # (Da,) [rad] per period
    room = np.where(rng.random(at.size) < 0.5, limits.lower, limits.upper) - at
    most = np.array([limits.move / turn, limits.change / turn**2, limits.bend / turn**3]).min(0)
    swing = np.sign(room) * np.minimum(np.abs(room) / 2.0, most)
    return list(at + swing * (1.0 - np.cos(turn * np.arange(1, steps + 1)[:, None])))


def _mutate(rng: np.random.Generator, limits: StepLimits, targets: Targets) -> None:
    """One fault, in place."""
    n, first = limits.lower.size, int(rng.integers(len(targets)))
    last = first + int(rng.integers(1, 21))
    piece = [one for one in targets[first:last] if one is not None]
    jump = _anywhere(rng, limits) * 10.0 ** rng.uniform(-6, 0)
    faults = (
        lambda one: np.full(n, rng.choice(NOT_FINITE)),
        lambda one: np.where(np.arange(n) == rng.integers(n), rng.choice(NOT_FINITE), 0.0),
        lambda one: np.full(n, rng.choice(STRANGE)),
        lambda one: np.zeros(n + int(rng.choice([-1, 1]))),
        lambda one: None,
        lambda one: _anywhere(rng, limits),
        lambda one: one if one is None else -one,
        lambda one: one if one is None or one.size != n else one + jump,
        lambda one: one if one is None else one * (1.0 + 1e-3 * rng.normal()),
        lambda one: piece[0] if piece else None,
    )
    fault = faults[int(rng.integers(len(faults)))]
    if rng.random() < 0.2:  # time runs backwards
        targets[first:last] = targets[first:last][::-1]
    elif rng.random() < 0.2:  # a piece comes late, after all that follows it
        targets[first:] = [*targets[last:], *targets[first:last]]
    else:
        targets[first:last] = [fault(one) for one in targets[first:last]]
