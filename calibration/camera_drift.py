"""Whether a camera is still where it was: hand-eye from poses of now, beside the calibration's."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vdd_ros.calibration import rigid
from vdd_ros.calibration.drift import Change, Mean
from vdd_ros.calibration.hand_eye import HandEyeEstimate, hand_eye_of
from vdd_ros.calibration.hand_eye_problem import OF_POSES
from vdd_ros.calibration.known_lens import lens_of
from vdd_ros.calibration.lens import Lens
from vdd_ros.calibration.pose_log import PoseLog
from vdd_ros.calibration.recorded import board_views, chain_of
from vdd_ros.calibration.seen_board import seen_by
from vdd_ros.calibration_parts import HandEye
from vdd_ros.contract_parts import Kinematics
from vdd_ros.errors import UserError
from vdd_ros.robot_calibration import RobotCalibration

LEAST_M, LEAST_RAD = 0.001, 0.002  # of a camera's place and rotation, that matters
AXES = [f"{what} {axis}" for what in ("place", "rotation") for axis in "xyz"]


def camera_changes(
    known: RobotCalibration,
    folder: Path,
    model: Kinematics | None = None,
    camera_info: Path | None = None,
) -> list[Change]:
    """Of every camera whose place is known and that took pictures in a log of poses; camera_info:
    its intrinsics, where they are not the calibration's. Raises UserError where there is none, or
    these poses do not tell."""
    log = PoseLog.read(folder)
    known.require_robot(log.contract.robot_name, f"what is named beside {folder}")
    shown = {name for pose in log.poses for name in pose.pictures}
    changes: list[Change] = []
    if camera_info is not None and len(seen := sorted(known.hand_eye.keys() & shown)) > 1:
        raise UserError(f"{camera_info} is of one camera, {folder} has pictures of {len(seen)}")
    for name, section in known.hand_eye.items():
        if name in shown:
            chain = chain_of(log.contract, model)
            lens = _lens_then(section, lens_of(known, name, camera_info))
            views = board_views(log, seen_by(log, name), section.mounting, lens, chain)
            changes += changes_of(name, section, hand_eye_of(views))
    if not changes:
        raise UserError(
            f"{folder} has pictures of {', '.join(sorted(shown)) or 'no camera'}, the calibration "
            f"knows where {', '.join(known.hand_eye) or 'no camera'} is: take pictures by a camera "
            "that was calibrated"
        )
    return changes


def changes_of(name: str, section: HandEye, found: HandEyeEstimate) -> list[Change]:
    """Along and about the parent's axes, as covariances have it. What is not known of the lens
    moves both estimates alike, and is no part of their bounds."""
    then, now = section.camera.matrix, found.unknowns.camera
    turned = rigid.log_rotation(now[:3, :3] @ then[:3, :3].T)
    moved = np.concatenate([now[:3, 3] - then[:3, 3], turned])
    given = section.camera.covariance if section.lens is None else section.lens.given
    before = np.sqrt(np.diag(np.array(given)))
    after = np.sqrt(np.diag(found.given_lens))
    return [
        Change(
            f"{what} in {section.camera.parent_frame}",
            name,
            "m" if index < 3 else "rad",
            Mean(0.0, float(before[index]), _freedom(section.source.count)),
            Mean(float(moved[index]), float(after[index]), _freedom(int(found.used.sum()))),
            LEAST_M if index < 3 else LEAST_RAD,
        )
        for index, what in enumerate(AXES)
    ]


def _lens_then(section: HandEye, stated: Lens) -> Lens:
    """The lens by which the place was estimated: two estimates tell by one lens only."""
    if section.lens is None:
        return stated
    return stated.changed(np.array(section.lens.numbers) - stated.numbers)


def _freedom(views: int) -> int:
    """Of the noise of joints, which of few views is known badly: six numbers each, less X and Y."""
    return max(1, 6 * views - OF_POSES)
