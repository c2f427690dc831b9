"""Excitation: a motion about a pose that tells how late a joint follows, within every limit.

A chirp: a sine whose frequency rises from one to another, so that it never repeats itself within
the lags that are looked through, with the amplitude of one largest speed. It begins and ends at
rest at the pose. Grippers open and close step by step instead, in an order that does not repeat
itself, and stand after each step, so that their travel is told as well. Targets are what a leader
asks for: whoever sends them sends them through a gate.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.contract_parts import Joint
from vdd_ros.errors import UserError
from vdd_ros.response import LEAST_MOTION

SLOWEST_HZ, FASTEST_HZ = 0.2, 1.5
EASE_S = 1.0  # in which the amplitude comes and goes
REST_S = 1.0  # before, between and after
STEP_S = 1.2  # that a gripper is given for each of its steps
# Shares of its range, up and down: all of it, in steps of different sizes.
STEPS = (1.0, 0.0, 0.4, 0.2, 0.7, 0.5, 0.9, 0.6, 0.8, 0.3, 0.1, 1.0, 0.0)
ENOUGH = 1.2  # times the least motion that a joint needs to be judged
MARGIN = 0.02  # of its range, that a joint keeps from its limits


class Motion(NamedTuple):
    """times_s: (N,) from 0, a control period apart; targets: (N, Da) [unit]."""

    times_s: np.ndarray
    targets: np.ndarray


def excitation(
    contract: Contract,
    pose: np.ndarray,
    joints: tuple[int, ...],
    share: float,
    reach: float,
    seconds: float = 8.0,
) -> Motion:
    """Joints one after the other, from `pose` (Da,) [unit] and back to it.

    share: of the limits of velocity, acceleration and jerk; reach: how far from the pose at most
    [rad, m]; seconds: for each joint. Raises UserError where a joint has no room.
    """
    if not joints:
        raise UserError("no joint is to be moved: name one")
    period_s = contract.control_period_ns * 1e-9
    parts = [np.zeros(round(REST_S / period_s))]
    columns = [np.full(len(parts[0]), -1)]
    for index in joints:
        joint = contract.joints[index]
        if joint.unit == "fraction":
            away = _steps(joint, float(pose[index]), period_s)
        else:
            away = _chirp(joint, float(pose[index]), share, reach, seconds, period_s)
        still = np.zeros(round(REST_S / period_s))
        parts += [away, still]
        columns += [np.full(len(away), index), np.full(len(still), -1)]
    column, away = np.concatenate(columns), np.concatenate(parts)
    targets = np.tile(pose, (len(away), 1))
    moves = column >= 0
    targets[moves, column[moves]] += away[moves]
    return Motion(np.arange(len(away)) * period_s, targets)


def _chirp(
    joint: Joint, at: float, share: float, reach: float, seconds: float, period_s: float
) -> np.ndarray:
    """(N,) away from where it is [unit]."""
    times_s = np.arange(0.0, seconds, period_s)
    rate = (FASTEST_HZ - SLOWEST_HZ) / seconds
    phase = 2.0 * np.pi * (SLOWEST_HZ * times_s + rate * times_s**2 / 2.0)
    ease = np.clip(np.minimum(times_s, seconds - times_s) / min(EASE_S, seconds / 4), 0.0, 1.0)
    ease = ease**3 * (10.0 - 15.0 * ease + 6.0 * ease**2)
    shape = ease * np.sin(phase) * SLOWEST_HZ / (SLOWEST_HZ + rate * times_s)
    lower, upper = room_of(joint)
    room = min(reach, at - lower, upper - at)
    derivatives = [shape]
    for _ in range(3):
        derivatives.append(np.diff(derivatives[-1]) / period_s)
    most = [room, *(share * one for one in (joint.velocity, joint.acceleration)), joint.jerk]
    most[3] = np.inf if joint.jerk is None else share * joint.jerk
    size = min(bound / np.abs(one).max() for bound, one in zip(most, derivatives, strict=True))
    least = ENOUGH * LEAST_MOTION * (joint.upper - joint.lower)
    if size * np.ptp(shape) < least:
        short = "room" if size * np.abs(shape).max() >= 0.99 * room else "speed"
        raise UserError(
            f"{joint.name} at {at:.3f} {joint.unit} has the {short} to move through "
            f"{max(0.0, size * np.ptp(shape)):.3f}, {least:.3f} is needed: "
            + (
                "bring it to the middle of its range, or allow a longer reach"
                if short == "room"
                else "allow a larger share of its limits, or more seconds"
            )
        )
    return size * shape


def _steps(joint: Joint, at: float, period_s: float) -> np.ndarray:
    """(N,) away from where it is, all over its range [fraction]; back to where it was."""
    count = round(STEP_S / period_s)
    levels = joint.lower + np.array(STEPS) * (joint.upper - joint.lower)
    return np.repeat([*(levels - at), 0.0], count)


def room_of(joint: Joint) -> tuple[float, float]:
    """Lower and upper limit [unit], less what is kept from them."""
    margin = MARGIN * (joint.upper - joint.lower)
    return joint.lower + margin, joint.upper - margin
