"""Gripper: travel, direction, width per command, and the command that closes it without force.

From where it stands and is told to stand, whenever both rest, whatever moved it there. What is
measured follows the command until the fingers meet, or the gripper is open; a command beyond that
only presses:

    measured = clip(a + b command, low, high)

a and b by robust least squares, low and high from what stands still while commands go on. Of a
gripper that closes on something the lower end is the thing's width, so nothing may be between the
fingers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vdd_ros import calibration_parts
from vdd_ros.calibration.leader_drift import rests
from vdd_ros.calibration.recordings import contract_of, episodes_of
from vdd_ros.calibration.summary import residuals_of
from vdd_ros.calibration_parts import Source
from vdd_ros.contract import Contract
from vdd_ros.contract_parts import Joint
from vdd_ros.episode import StreamData
from vdd_ros.errors import UserError

CREEPS = 0.01  # of its range, through which it may go in a quarter of a second and yet stand
LEVELS_NEEDED = 4  # commands at which it stood, apart by
APART = 0.05  # of its range
LEAST_TRAVEL = 0.2  # of its range, that it has to move through
BEYOND = 0.1  # of its range, by which a measured position may be outside of it
NOT_FOLLOWED = 0.02  # of its travel, from the line: it stands at an end
WORST_RMS = 0.05  # of its travel, along the line
NEAR = 3.0  # scale of the robust loss, in shares of NOT_FOLLOWED: outliers beyond count less


class Stand(NamedTuple):
    """command: (M,) that held while it stood, measured: (M,) where; rising: (M,) whether it came
    from smaller commands [unit]."""

    command: np.ndarray
    measured: np.ndarray
    rising: np.ndarray


class Calibrated(NamedTuple):
    """In the joint's unit. closed, open: measured at either end; opens: 1 where larger commands
    open it; gain, at_zero: measured over command, and at command 0; force_free: the command at
    which it is closed and does not press; fully_open: likewise; backlash: measured rising minus
    falling; std: of force_free; left: (M,) residuals; used: stands."""

    joint: Joint
    closed: float
    open: float
    opens: int
    gain: float
    at_zero: float
    force_free: float
    fully_open: float
    backlash: float
    std: float
    left: np.ndarray
    used: int

    def section(
        self, made: datetime, data: Sequence[str], width: tuple[float, float] | None
    ) -> calibration_parts.Gripper:
        """As a calibration file has it; width: at command 0 and per command [m], None: unknown."""
        at_zero_m, per_command_m = (None, None) if width is None else width
        return calibration_parts.Gripper(
            made=made.isoformat(),
            source=Source(
                method="clipped line through where it stands, soft-l1",
                data=tuple(data),
                count=self.used,
            ),
            unit=self.joint.unit,
            closed=self.closed,
            open=self.open,
            opens=1 if self.opens > 0 else -1,
            width_at_zero_m=at_zero_m,
            width_per_command_m=per_command_m,
            force_free=self.force_free,
            residuals=residuals_of(self.joint.unit, self.left),
        )


def gripper_from(
    data: Sequence[Path], contract: Path | None, joint: str | None, closes_at_lower: bool
) -> tuple[Contract, Calibrated]:
    """Of folders of episodes: the contract that counts, and its gripper; joint: its name, None
    where the contract has one channel of unit fraction. Raises UserError."""
    episodes = list(episodes_of(data))
    robot = contract_of(episodes, contract)
    index = gripper_of(robot, joint)
    found = stands(robot, [one.streams for one in episodes], index)
    return robot, calibrate_gripper(robot.joints[index], found, closes_at_lower)


def gripper_of(contract: Contract, name: str | None) -> int:
    """The index of a channel; raises UserError where it is not clear which."""
    if name is not None:
        if name not in contract.joint_names:
            raise UserError(f"no joint {name}: {', '.join(contract.joint_names)}")
        return contract.joint_names.index(name)
    channels = [index for index, one in enumerate(contract.joints) if one.unit == "fraction"]
    if len(channels) != 1:
        raise UserError(
            f"contract {contract.name} has {len(channels)} channels of unit fraction: name the "
            "gripper's joint"
        )
    return channels[0]


def stands(contract: Contract, recordings: Sequence[Mapping[str, StreamData]], index: int) -> Stand:
    """Every time that one joint rested at a command, one row each; raises UserError."""
    joint, rows = contract.joints[index], []
    for streams in recordings:
        needed = [streams.get(name) for name in ("joint_state", contract.action.stream)]
        if any(one is None or not len(one) for one in needed):
            continue
        measured, commanded = (one for one in needed if one is not None)
        found = rests(contract, measured, commanded, CREEPS)
        resting = found.resting[:, index] & np.isfinite(found.target[:, index])
        target = np.where(resting, found.target[:, index], np.nan)
        begins = np.flatnonzero(resting & ~(np.concatenate([[np.nan], target[:-1]]) == target))
        before = None
        for begin, end in zip(begins, [*begins[1:], len(target)], strict=True):
            held = slice(begin, end)
            stood = found.position[held, index][resting[held]]
            command = float(target[begin])
            end = float(np.median(stood[-max(1, len(stood) // 4) :]))
            rows.append((command, end, before is not None and command > before))
            before = command
    if not rows:
        raise UserError(
            f"{joint.name} never stands at a command for long enough: let it rest for half a "
            f"second at each of {LEVELS_NEEDED} or more commands"
        )
    return Stand(*(np.array(column) for column in zip(*rows, strict=True)))


def calibrate_gripper(joint: Joint, found: Stand, closes_at_lower: bool = True) -> Calibrated:
    """closes_at_lower: whether the measured channel is smaller when it is closed. Raises UserError
    for what does not tell."""
    from scipy.optimize import least_squares

    span = joint.upper - joint.lower
    fine = np.isfinite(found.command) & np.isfinite(found.measured)
    command, measured = found.command[fine], found.measured[fine]
    _require_tells(joint, command, measured)
    travel = float(np.ptp(measured))
    scale = NEAR * NOT_FOLLOWED * travel

    def expected(x: np.ndarray) -> np.ndarray:
        return np.clip(x[0] + x[1] * command, measured.min(), measured.max())

    middle = (measured > measured.min() + 0.1 * travel) & (measured < measured.max() - 0.1 * travel)
    if len(np.unique(np.round(command[middle] / span, 3))) < 2:
        raise UserError(
            f"{joint.name} stands only at its ends, as it is told to open and to close: what it "
            "does in between takes commands in between; hold it at some of those as well"
        )
    start = np.polyfit(command[middle], measured[middle], 1)[::-1]
    fit = least_squares(
        lambda x: expected(x) - measured, start, loss="soft_l1", f_scale=scale, x_scale=travel
    )
    at_zero, gain = (float(one) for one in fit.x)
    if abs(gain) * span < LEAST_TRAVEL * travel:
        raise UserError(
            f"{joint.name} does not follow its commands ({gain:.3g} {joint.unit} for each): is it "
            "powered, and is this its channel?"
        )
    left = measured - expected(fit.x)
    rms = float(np.sqrt(np.median(left**2)))
    if rms > WORST_RMS * travel:
        raise UserError(
            f"{joint.name} stands {rms:.3g} {joint.unit} from a straight line in its commands (at "
            f"most {WORST_RMS * travel:.3g}): does it hold something, or slip?"
        )
    low, high = float(measured.min()), float(measured.max())
    ends = {"low": (low - at_zero) / gain, "high": (high - at_zero) / gain}
    closed, opened = ("low", "high") if closes_at_lower else ("high", "low")
    line = np.abs(left) < NOT_FOLLOWED * travel
    slack = _backlash(command, left, found.rising[fine], line & middle)
    std = _std_of_meeting(fit, gain, ends[closed], len(command))
    values = {"low": low, "high": high}
    opens = np.sign(gain) if closes_at_lower else -np.sign(gain)
    return Calibrated(
        joint, values[closed], values[opened], int(opens), gain, at_zero,
        float(np.clip(ends[closed], joint.lower, joint.upper)),
        float(np.clip(ends[opened], joint.lower, joint.upper)),
        slack, std, left, len(command),
    )  # fmt: skip


def _require_tells(joint: Joint, command: np.ndarray, measured: np.ndarray) -> None:
    span = joint.upper - joint.lower
    beyond = np.maximum(joint.lower - measured, measured - joint.upper)
    if len(measured) and beyond.max() > BEYOND * span:
        worst = float(measured[int(beyond.argmax())])
        raise UserError(
            f"{joint.name} is measured at {worst:.4g}, its limits are {joint.lower:g} and "
            f"{joint.upper:g} {joint.unit}: is its driver's unit another one?"
        )
    levels = np.unique(np.round(command / (APART * span)))
    if len(levels) < LEVELS_NEEDED:
        raise UserError(
            f"{joint.name} stood at {len(levels)} different commands, at least {LEVELS_NEEDED} are "
            "needed: hold it closed, open and at some commands in between"
        )
    if np.ptp(measured) < LEAST_TRAVEL * span:
        what = "stands still" if np.ptp(measured) < 1e-3 * span else "hardly moves"
        raise UserError(
            f"{joint.name} {what}, through {np.ptp(measured):.4g} {joint.unit}, while it is told "
            f"to move through {np.ptp(command):.4g}: is it powered, and is its unit {joint.unit}?"
        )


def _backlash(command: np.ndarray, left: np.ndarray, rising: np.ndarray, fine: np.ndarray) -> float:
    """Median residual of what came from below minus of what came from above; 0 where not both."""
    up, down = left[fine & rising], left[fine & ~rising]
    return float(np.median(up) - np.median(down)) if len(up) and len(down) else 0.0


def _std_of_meeting(fit, gain: float, at: float, count: int) -> float:
    """Of the command at which an end is met: by the Fisher information of the line."""
    noise = 2.0 * fit.cost / max(1, count - 2)
    information = fit.jac.T @ fit.jac
    if np.linalg.matrix_rank(information) < 2:
        return float("inf")
    slope = np.array([-1.0 / gain, -at / gain])
    return float(np.sqrt(noise * slope @ np.linalg.solve(information, slope)))
