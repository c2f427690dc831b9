"""What a foreign recording must be to be learned from, and what is worth knowing about it.

A fault is told in one sentence that names file, place, finding and remedy, and ends the import. A
finding is reported with the episode.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.datasets.converted import Converted
from vdd_ros.datasets.recording import Recording, Track
from vdd_ros.datasets.source import Column, Source
from vdd_ros.errors import UserError

FEWEST_FRAMES = 8
RATE_TOLERANCE = 0.02  # of the declared period, for the median one
GAP = 1.5  # of the declared period; a longer one lacks a frame
OVER_LIMIT = 0.1  # of a joint's range: more than a controller overshoots, less than a wrong unit
LEAP = 2.0  # of the velocity limit within one frame
ABSURD = 100.0  # of the velocity limit; another unit is less, and told by what positions say
SWAPPED = 0.5  # of their disagreement is left when columns change places; of people's, all is
OBEYS = 0.05  # of a joint's range; people's recordings come to a quarter of that
SWAP_LEAST = 0.1  # of a joint's range, and less disagreement is none
VELOCITY_LEAST, VELOCITY_ERROR = 0.02, 0.5  # [1/s], share of the velocity's root mean square
STILL = 0.02  # of a joint's range from where it began or ends
IDLE_S = 0.5  # at rest for longer than this at the beginning or the end
STUCK = (1e-4, 0.02)  # of a joint's range: the state moves less, the command more
MOVES = 0.02  # of a joint's range within four frames: it is in motion
SLOW = (10, 0.5)  # frames in motion at least; share of them that repeat the reading before
HARDLY = 0.03  # of a joint's range, the farthest of all joints of a unit in a whole dataset
JITTER = 0.1  # of the period
ODD_SHARE = 0.1  # of the usual length, and less is not odd
ODD_LENGTH = 3.5  # modified z-score (Iglewicz and Hoaglin 1993)


def require_sound(recording: Recording, source: Source, contract: Contract) -> None:
    """Raise UserError for the first fault in frames, times or raw values."""
    where = recording.where
    if len(recording) < FEWEST_FRAMES:
        raise UserError(
            f"{where} has {len(recording)} frames, an episode needs at least {FEWEST_FRAMES}: "
            f"leave it out"
        )
    for channel in source.in_order_of(contract):
        sides = (
            ("state", channel.state, recording.state),
            ("command", channel.command, recording.command),
        )
        for side, column, columns in sides:
            _require_column(where, side, column, columns)
        _require_finite(where, "velocity", channel.state.name, recording.velocity)
    if recording.tracks is not None:
        _require_track(where, "state", recording.tracks.state)
        _require_track(where, "command", recording.tracks.command)
    _require_times(where, recording.times_s, 1.0 / source.rate_hz)


def _require_track(where: str, side: str, track: Track) -> None:
    """What is not in a frame becomes a message as well."""
    for name in track.columns:
        _require_finite(where, side, name, track.columns)
    if (track.stamps_ns <= 0).any():
        raise UserError(f"{where}: the {side} has messages without a stamp: declare time: receive")


def _require_column(where: str, side: str, column: Column, columns: dict[str, np.ndarray]) -> None:
    if column.name not in columns:
        raise UserError(
            f"{where}: no {side} column {column.name!r}, there are {', '.join(columns)}: correct "
            f"the declaration"
        )
    _require_finite(where, side, column.name, columns)
    values = columns[column.name]
    if not (covered := column.covers(values)).all():
        at = int(np.flatnonzero(~covered)[0])
        raise UserError(
            f"{where}: {side} {column.name} of frame {at} is {values[at]:.6g}, outside the span "
            f"that its unit is declared with: correct the declaration"
        )


def _require_finite(where: str, side: str, name: str, columns: dict[str, np.ndarray]) -> None:
    values = columns.get(name, np.zeros(0))
    if not (finite := np.isfinite(values)).all():
        at = int(np.flatnonzero(~finite)[0])
        raise UserError(
            f"{where}: {side} {name} of frame {at} is {values[at]}; restore the file or leave the "
            f"episode out"
        )


def _require_times(where: str, times_s: np.ndarray, period_s: float) -> None:
    if not (finite := np.isfinite(times_s)).all():
        at = int(np.flatnonzero(~finite)[0])
        raise UserError(f"{where}: the time of frame {at} is {times_s[at]}; restore the file")
    steps = np.diff(times_s)
    if (steps <= 0).any():
        at = int(np.flatnonzero(steps <= 0)[0])
        raise UserError(
            f"{where}: time goes from {times_s[at]:.6f} s to {times_s[at + 1]:.6f} s after frame "
            f"{at}; restore the order of the frames and their times"
        )
    middle = float(np.median(steps))
    doubt = 3.0 * 1.2533 * float(steps.std()) / np.sqrt(len(steps))  # of a median, where it jitters
    if abs(middle - period_s) > RATE_TOLERANCE * period_s + min(doubt, 0.25 * period_s):
        raise UserError(
            f"{where}: frames come {1 / middle:.3g} times a second, the source declares "
            f"{1 / period_s:g}: find out which is true and correct the other"
        )
    # a late frame is made up for by an early neighbour, a missing one is not
    beside = np.minimum(np.r_[np.inf, steps[:-1]], np.r_[steps[1:], np.inf])
    missing = (steps > GAP * period_s) & (steps + beside > (1.0 + GAP) * period_s)
    if missing.any():
        at = int(np.flatnonzero(missing)[0])
        raise UserError(
            f"{where}: {round(steps[at] / period_s) - 1} frames are missing after frame {at} "
            f"({steps[at]:.3f} s without one); cut the episode there or leave it out"
        )


def require_plausible(converted: Converted, contract: Contract) -> None:
    """Raise UserError where values cannot be what they are declared to be."""
    where = converted.where
    names = contract.joint_names
    lower, upper = contract.limit("lower"), contract.limit("upper")
    for side, values in (("state", converted.state), ("command", converted.command)):
        beyond = contract.beyond(values, OVER_LIMIT)
        if beyond.any():
            at, joint = (int(i) for i in np.argwhere(beyond)[0])
            raise UserError(
                f"{where}: {side} of {names[joint]} is {values[at, joint]:.6g} at frame {at}, its "
                f"limits are {lower[joint]:g} and {upper[joint]:g} {contract.joints[joint].unit}: "
                f"is it another unit or column? correct the declaration, or leave the episode out"
            )
        took_s = np.maximum(np.diff(converted.times_s), 1.0 / converted.rate_hz)
        steps = np.abs(np.diff(values, axis=0)) / took_s[:, None]
        leaps = steps > LEAP * contract.limit("velocity")
        if leaps.any() and side == "state":
            at, joint = (int(i) for i in np.argwhere(leaps)[0])
            raise UserError(
                f"{where}: {side} of {names[joint]} leaps from {values[at, joint]:.4g} to "
                f"{values[at + 1, joint]:.4g} after frame {at}, {steps[at, joint]:.3g} a second "
                f"(limit {contract.limit('velocity')[joint]:g}); cut the episode there or leave it "
                f"out"
            )
    _require_own_columns(converted, contract)
    _require_obedience(converted, contract)
    _require_own_velocity(converted, contract)


def _require_own_columns(converted: Converted, contract: Contract) -> None:
    """Joints that are told one thing and do another, which another of them was told."""
    from scipy.optimize import linear_sum_assignment

    span = contract.span
    state, command = converted.state / span, converted.command / span
    apart = np.abs(state[:, :, None] - command[:, None, :]).mean(0)  # (Da, Da) state, command
    joint, best = linear_sum_assignment(apart)
    moved = joint != best
    own, others = apart[joint, joint][moved].sum(), apart[joint, best][moved].sum()
    if own > SWAP_LEAST and others < SWAPPED * own:
        first = int(np.flatnonzero(moved)[0])
        more = f", and {moved.sum() - 1} joints more likewise" if moved.sum() > 2 else ""
        raise UserError(
            f"{converted.where}: {contract.joint_names[first]} does what "
            f"{contract.joint_names[int(best[first])]} is told{more}: states are in another order "
            f"than commands; correct the declaration or the file"
        )


def _require_obedience(converted: Converted, contract: Contract) -> None:
    """A joint of an arm is about where it is told to be; a hand stops at what it holds."""
    is_arm = np.array([joint.unit != "fraction" for joint in contract.joints])
    span = contract.span
    apart = np.abs(converted.command - converted.state).mean(0) * is_arm
    wrong = apart > OBEYS * span
    if wrong.any():
        joint = int(np.flatnonzero(wrong)[0])
        raise UserError(
            f"{converted.where}: {contract.joint_names[joint]} is {apart[joint]:.3g} "
            f"{contract.joints[joint].unit} from its command on average: states or commands are "
            f"those of another joint, or commands are no positions; correct the declaration"
        )


def _require_own_velocity(converted: Converted, contract: Contract) -> None:
    """What a joint's positions say of its speed is what its velocities say."""
    absurd = np.abs(converted.velocity) > ABSURD * contract.limit("velocity")
    if absurd.any():
        at, joint = (int(i) for i in np.argwhere(absurd)[0])
        raise UserError(
            f"{converted.where}: velocity of {contract.joint_names[joint]} is "
            f"{converted.velocity[at, joint]:.3g} a second at frame {at}, its limit is "
            f"{contract.limit('velocity')[joint]:g}: restore the file or leave the episode out"
        )
    moved = np.diff(converted.state, axis=0) / np.diff(converted.times_s)[:, None]
    told = 0.5 * (converted.velocity[1:] + converted.velocity[:-1])
    by_position, by_velocity, error = (
        np.sqrt((values**2).mean(0)) for values in (moved, told, moved - told)
    )
    size = np.maximum(by_position, by_velocity)  # NaN without velocities, and then never wrong
    wrong = (size > VELOCITY_LEAST) & (error > VELOCITY_ERROR * size)
    if wrong.any():
        joint = int(np.flatnonzero(wrong)[0])
        raise UserError(
            f"{converted.where}: {contract.joint_names[joint]} moves at {by_position[joint]:.3g} a "
            f"second (root mean square) by its positions and at {by_velocity[joint]:.3g} by its "
            f"velocities: a unit, a rate or a column is wrong; correct the declaration or the file"
        )


def findings(converted: Converted, contract: Contract) -> tuple[str, ...]:
    """What is not wrong, but good to know before training on it; one clause each."""
    found = [*converted.notes]
    period_s = 1.0 / converted.rate_hz
    steps = np.diff(converted.times_s)
    if steps.std() > JITTER * period_s:
        found.append(f"frames jitter: {steps.std() * 1e3:.1f} ms around {period_s * 1e3:.1f} ms")
    span = contract.span
    for end, command in (("start", converted.command), ("end", converted.command[::-1])):
        moved = (np.abs(command - command[0]) > STILL * span).any(1)
        still = int(moved.argmax()) if moved.any() else len(moved)
        if still * period_s > IDLE_S:
            found.append(f"idle {end}: {still * period_s:.1f} s")
    extent = {
        "state": np.ptp(converted.state, 0) / span,
        "command": np.ptp(converted.command, 0) / span,
    }
    stuck = (extent["state"] < STUCK[0]) & (extent["command"] > STUCK[1])
    if stuck.any():
        found.append(f"stuck: {', '.join(np.array(contract.joint_names)[stuck])}")
    share = _repeated_in_motion(converted.state / span)
    if (slow := share > SLOW[1]).any():
        read_hz = (1.0 - share[slow].mean()) / period_s
        first = contract.joint_names[int(slow.argmax())]
        found.append(
            f"states of {slow.sum()} joints, {first} first, are new {read_hz:.0f} times a second"
        )
    rate = np.abs(np.diff(converted.command, axis=0)) / steps[:, None]
    if count := int((rate > contract.limit("velocity")).any(1).sum()):
        found.append(f"{count} of {len(rate)} commands are faster than the velocity limits")
    if count := int(contract.beyond(converted.command).any(1).sum()):
        found.append(f"{count} of {len(converted.command)} commands are beyond the limits")
    same = (np.diff(np.hstack([converted.state, converted.command]), axis=0) == 0.0).all(1)
    if count := int(same.sum()):
        found.append(f"{count} frames repeat the one before")
    return tuple(found)


def _repeated_in_motion(state: np.ndarray) -> np.ndarray:
    """(N, Da) in ranges -> (Da,) share of the frames in which a joint moves, by those around, whose
    reading is the one before; 0 for joints that hardly move."""
    in_motion = np.abs(state[4:] - state[:-4]) > MOVES
    repeats = (state[2:-2] == state[1:-3]) & in_motion
    count = in_motion.sum(0)
    return np.where(count >= SLOW[0], repeats.sum(0) / np.maximum(count, 1), 0.0)


def small_motions(
    extents: Sequence[np.ndarray], source: Source, contract: Contract
) -> tuple[str, ...]:
    """One clause for each declared unit in which no joint moves as far as demonstrations do;
    extents: (Da,) of each recording, how far the joints moved."""
    extent = np.max(extents, axis=0) / contract.span
    units = [str(channel.state.unit) for channel in source.in_order_of(contract)]
    largest = {unit: max(extent[[one == unit for one in units]]) for unit in units}
    return tuple(
        f"no joint declared in {unit} moves through more than {share:.1%} of its range in any "
        f"episode: is that its unit?"
        for unit, share in largest.items()
        if share < HARDLY
    )


def odd_lengths(lengths: np.ndarray) -> np.ndarray:
    """(E,) frames -> (E,) bool: far longer or shorter than the others."""
    off = np.abs(lengths - np.median(lengths))
    spread = max(float(np.median(off)), 1e-9)
    return (0.6745 * off / spread > ODD_LENGTH) & (off > ODD_SHARE * np.median(lengths))
