"""Offsets of encoders that were estimated along with a camera, as a section of their own.

What was corrected while the poses were taken is in the contract of their log; what is estimated is
what was still missing. Joints that were not estimated keep what is known of them.
"""

from __future__ import annotations

import numpy as np

from vdd_ros.calibration.hand_eye_estimate import HandEyeEstimate
from vdd_ros.calibration.hand_eye_problem import OF_POSES
from vdd_ros.calibration.summary import residuals_of
from vdd_ros.calibration_parts import JointOffset, JointOffsets, Source
from vdd_ros.contract import Contract
from vdd_ros.contract_parts import Encoder
from vdd_ros.errors import UserError


def encoders_with(
    known: JointOffsets | None,
    estimate: HandEyeEstimate,
    contract: Contract,
    made: str,
    source: Source,
) -> JointOffsets:
    """known: of the calibration file so far; contract: of the log of poses. Raises UserError where
    the poses were taken with other offsets than the file has, to which nothing can be added."""
    chain = estimate.views.chain
    assert chain is not None
    before = {} if known is None else known.joints
    applied = {name: (one.sign, one.offset) for name, one in contract.encoders.items()}
    if applied != {name: (one.sign, one.offset) for name, one in before.items()}:
        raise UserError(
            "the poses were taken with other encoder offsets than the newest calibration has: take "
            "them anew with a contract that names this calibration under `encoders`"
        )
    names = [chain.names[index] for index in estimate.free]
    added = dict(zip(names, estimate.unknowns.offsets[estimate.free].tolist(), strict=True))
    new = estimate.covariance[OF_POSES:, OF_POSES:]
    std = dict(zip(names, np.sqrt(np.diag(new)).tolist(), strict=True))
    deviations = dict(zip(chain.names, estimate.deviations.T, strict=True))
    joints = dict(before)
    for name in names:
        unit = contract.joints[contract.joint_names.index(name)].unit
        assert unit != "fraction"
        last = contract.encoders.get(name, Encoder())
        joints[name] = JointOffset(
            unit=unit,
            sign=last.sign,
            offset=last.offset + added[name],
            std=std[name],
            residuals=residuals_of(unit, deviations[name]),
        )
    covariance = _covariance(list(joints), names, new, known)
    return JointOffsets(made=made, source=source, joints=joints, covariance=covariance)


def _covariance(
    every: list[str], estimated: list[str], new: np.ndarray, known: JointOffsets | None
) -> tuple[tuple[float, ...], ...]:
    """Of all joints; those that were estimated now and those known before err apart."""
    found = np.zeros((len(every), len(every)))
    if known is not None:
        kept = [name for name in known.joints if name not in estimated]
        old = [list(known.joints).index(name) for name in kept]
        places = [every.index(name) for name in kept]
        found[np.ix_(places, places)] = np.array(known.covariance)[np.ix_(old, old)]
    places = [every.index(name) for name in estimated]
    found[np.ix_(places, places)] = (new + new.T) / 2.0
    return tuple(tuple(row) for row in found.tolist())
