"""Offsets of joints beside those that are known already.

Of offsets that were estimated along with a camera: what was corrected while the poses were taken is
in the contract of their log, and what is estimated is what was still missing. Joints that were not
estimated keep what is known of them.
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
    if contract.encoders != ({} if known is None else known.corrections):
        raise UserError(
            "the poses were taken with other encoder offsets than the newest calibration has: take "
            "them anew with a contract that names this calibration under `encoders`"
        )
    names = [chain.names[index] for index in estimate.free]
    added = estimate.unknowns.offsets[estimate.free].tolist()
    covariance = estimate.covariance[OF_POSES:, OF_POSES:]
    deviations = dict(zip(chain.names, estimate.deviations.T, strict=True))
    joints = {}
    for at, name in enumerate(names):
        unit = contract.joints[contract.joint_names.index(name)].unit
        assert unit != "fraction"
        last = contract.encoders.get(name, Encoder())
        joints[name] = JointOffset(
            unit=unit,
            sign=last.sign,
            offset=last.offset + added[at],
            std=float(np.sqrt(covariance[at, at])),
            residuals=residuals_of(unit, deviations[name]),
        )
    even = (covariance + covariance.T) / 2.0
    rows = tuple(tuple(row) for row in even.tolist())
    return merged(known, JointOffsets(made=made, source=source, joints=joints, covariance=rows))


def merged(known: JointOffsets | None, found: JointOffsets) -> JointOffsets:
    """What was found, and what is known of joints that it says nothing of; these err apart."""
    if known is None:
        return found
    kept = [name for name in known.joints if name not in found.joints]
    joints = {name: known.joints[name] for name in kept} | found.joints
    covariance = np.zeros((len(joints), len(joints)))
    old = [list(known.joints).index(name) for name in kept]
    count = len(kept)
    covariance[:count, :count] = np.array(known.covariance)[np.ix_(old, old)]
    covariance[count:, count:] = found.covariance
    rows = tuple(tuple(row) for row in covariance.tolist())
    return found.model_copy(update={"joints": joints, "covariance": rows})
