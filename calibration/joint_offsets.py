"""Signs and offsets of joints that stand together: reference = sign * encoder + offset.

Both arms (leader and follower), or an arm and what its model says, are read in poses in which they
stand still. A pose in which somebody moved, or one joint slipped, is left out, joint by joint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vdd_ros.calibration.robust import CUT, location_of, spread_of
from vdd_ros.calibration.summary import residuals_of
from vdd_ros.calibration_parts import JointOffset, JointOffsets, Source
from vdd_ros.contract_parts import Joint
from vdd_ros.errors import UserError

FEWEST_POSES = 8  # of fewer the scatter is known too badly to tell who fits
LEAST_TRAVEL = {"rad": 0.1, "m": 0.01}  # between poses, to tell a joint's sign and unit
TELLS_SIGN = 0.25  # spread with one sign over that with the other, at most
SLOPE_WITHIN = 0.1  # by which a joint may move more or less than its reference
OTHER_FITS = 0.1  # spread beside another joint over that beside its own, that is another's
MOST_LEFT_OUT = 0.45  # of the poses
TURN = 2.0 * np.pi
WRAPPED_SHARE = 0.1  # of the poses
UNITS = {180.0 / np.pi: "degrees", 1000.0: "millimetres", 100.0: "centimetres"}


@dataclass(frozen=True)
class PairedPoses:
    """joints: n of the contract, none of unit fraction; encoder, reference: (N, n) [unit] in N
    poses, in which both stand still."""

    joints: tuple[Joint, ...]
    encoder: np.ndarray
    reference: np.ndarray

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(joint.name for joint in self.joints)


@dataclass(frozen=True)
class OffsetEstimate:
    """reference = signs * encoder + offsets, for n joints in N poses.

    covariance: (n, n) of the offsets; residuals: (N, n) reference minus what is estimated [unit];
    used: (N, n) whether a reading counts.
    """

    pairs: PairedPoses
    signs: np.ndarray
    offsets: np.ndarray
    covariance: np.ndarray
    residuals: np.ndarray
    used: np.ndarray

    @property
    def std(self) -> np.ndarray:
        """(n,) standard deviations of the offsets."""
        return np.sqrt(np.diag(self.covariance))

    def section(self, made: str, source: Source) -> JointOffsets:
        """As the calibration file has it."""
        joints = {}
        for index, joint in enumerate(self.pairs.joints):
            assert joint.unit != "fraction"
            joints[joint.name] = JointOffset(
                unit=joint.unit,
                sign=1 if self.signs[index] > 0 else -1,
                offset=float(self.offsets[index]),
                std=float(self.std[index]),
                residuals=residuals_of(
                    joint.unit, self.residuals[self.used[:, index], index], left_out_by_one=True
                ),
            )
        covariance = tuple(tuple(row) for row in self.covariance.tolist())
        return JointOffsets(made=made, source=source, joints=joints, covariance=covariance)


def offsets_of(pairs: PairedPoses, signs: Sequence[int] | None = None) -> OffsetEstimate:
    """signs: (n,) of 1 and -1 where they are known; None: told by how the joints move.

    Raises UserError where poses are too few, a joint did not move enough, moves by another unit or
    with another joint, is a full turn apart now and then, or where too much does not fit.
    """
    _require_poses(pairs)
    found = [_one(pairs, index, signs) for index in range(len(pairs.joints))]
    sign = np.array([one[0] for one in found], dtype=np.float64)
    offsets = np.array([one[1].center for one in found])
    used = np.stack([one[1].used for one in found], axis=1)
    residuals = pairs.reference - sign * pairs.encoder - offsets
    for index in range(len(pairs.joints)):
        _require_no_turns(pairs, index, residuals[:, index], found[index][1].scatter)
        _require_most(pairs, index, used[:, index])
    return OffsetEstimate(pairs, sign, offsets, _covariance(residuals, used), residuals, used)


def _one(pairs: PairedPoses, index: int, signs: Sequence[int] | None):
    encoder, reference = pairs.encoder[:, index], pairs.reference[:, index]
    if signs is not None:
        return signs[index], location_of(reference - signs[index] * encoder)
    joint = pairs.joints[index]
    travel, needed = spread_of(encoder), LEAST_TRAVEL[joint.unit]
    if np.ptp(encoder) < needed:
        raise UserError(
            f"{joint.name} moved by {np.ptp(encoder):.3g} {joint.unit} over all poses, too little "
            f"to tell its sign: take poses that differ by {needed:g} {joint.unit} and more"
        )
    spreads = {sign: spread_of(reference - sign * encoder) for sign in (1, -1)}
    sign = min(spreads, key=lambda one: spreads[one])
    _require_own_unit(pairs, index, sign, spreads[sign])
    _require_own_joint(pairs, index, spreads[sign])
    if spreads[sign] > TELLS_SIGN * max(spreads[-sign], travel):
        raise UserError(
            f"{joint.name} and its reference do not move together (apart by {spreads[sign]:.3g} "
            f"{joint.unit} from pose to pose, and it moved by {travel:.3g}): take poses in which "
            "both stand still, and move it further between them"
        )
    return sign, location_of(reference - sign * encoder)


def _covariance(residuals: np.ndarray, used: np.ndarray) -> np.ndarray:
    """(N, n) -> (n, n): joints that err together in a pose have offsets that err together."""
    counted = np.where(used, residuals, 0.0)
    count = used.sum(0)
    shrunk = np.sqrt(count * np.maximum(count - 1, 1))  # unbiased where both have all poses
    return counted.T @ counted / np.outer(shrunk, shrunk)


def _require_poses(pairs: PairedPoses) -> None:
    if pairs.encoder.shape != pairs.reference.shape:
        raise ValueError(f"{pairs.encoder.shape} and {pairs.reference.shape} are no pairs")
    if not np.isfinite(pairs.encoder).all() or not np.isfinite(pairs.reference).all():
        raise UserError("poses have joints that are not finite: take them anew")
    if len(pairs.encoder) < FEWEST_POSES:
        raise UserError(
            f"{len(pairs.encoder)} poses are too few, at least {FEWEST_POSES} are needed, and 15 "
            "or more are better: take more, with every joint elsewhere in each"
        )


def _require_own_unit(pairs: PairedPoses, index: int, sign: int, spread: float) -> None:
    """A joint that moves by another amount than its reference has another unit, or a gear."""
    joint = pairs.joints[index]
    slope = _slope(pairs.encoder[:, index], pairs.reference[:, index])
    left = spread_of(pairs.reference[:, index] - slope * pairs.encoder[:, index])
    if abs(abs(slope) - 1.0) <= SLOPE_WITHIN or left > OTHER_FITS * spread:
        return
    factor = max(abs(slope), 1.0 / abs(slope))
    near = next((unit for ratio, unit in UNITS.items() if abs(factor / ratio - 1.0) < 0.02), None)
    guess = f"is one of them in {near}" if near else "is there a gear between them"
    raise UserError(
        f"the reference of {joint.name} moves {slope:.4g} times as far as its encoder, 1 or -1 is "
        f"expected: {guess}? Correct its driver"
    )


def _require_own_joint(pairs: PairedPoses, index: int, spread: float) -> None:
    reference = pairs.reference[:, index]
    for other, joint in enumerate(pairs.joints):
        if other == index or np.ptp(pairs.encoder[:, other]) < LEAST_TRAVEL[joint.unit]:
            continue
        least = min(spread_of(reference - sign * pairs.encoder[:, other]) for sign in (1, -1))
        if least < OTHER_FITS * spread:
            raise UserError(
                f"the reference of {pairs.names[index]} moves with the encoder of {joint.name}: "
                "correct which joint has which name"
            )


def _require_no_turns(pairs: PairedPoses, index: int, residual: np.ndarray, scatter: float) -> None:
    joint = pairs.joints[index]
    turns = np.round(residual / TURN)
    wrapped = (turns != 0) & (np.abs(residual - TURN * turns) <= max(2 * CUT * scatter, 1e-3))
    if joint.unit == "rad" and wrapped.sum() > WRAPPED_SHARE * len(residual):
        raise UserError(
            f"{joint.name} and its reference are a full turn further apart in {wrapped.sum()} of "
            f"{len(residual)} poses: one of them starts anew at half a turn, correct its driver"
        )


def _require_most(pairs: PairedPoses, index: int, used: np.ndarray) -> None:
    left_out = int((~used).sum())
    if left_out > MOST_LEFT_OUT * len(used):
        raise UserError(
            f"{pairs.names[index]}: {left_out} of {len(used)} poses do not fit the others: take "
            "them anew, standing still"
        )


def _slope(x: np.ndarray, y: np.ndarray) -> float:
    """Median of the slopes between any two poses (Theil and Sen)."""
    first, second = np.triu_indices(len(x), k=1)
    dx, dy = x[second] - x[first], y[second] - y[first]
    far = np.abs(dx) > 0.1 * np.ptp(x)
    return float(np.median(dy[far] / dx[far]))
