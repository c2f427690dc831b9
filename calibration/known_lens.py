"""The intrinsics of a camera, from its driver's file or from what was calibrated, and how well they
are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vdd_ros.calibration.intrinsics import read_camera_info
from vdd_ros.calibration.lens import NAMES, Lens
from vdd_ros.calibration.lens_prior import LensPrior
from vdd_ros.calibration.pose_log import PoseLog
from vdd_ros.errors import UserError
from vdd_ros.robot_calibration import RobotCalibration


def lens_of(known: RobotCalibration, camera: str, camera_info: Path | None = None) -> Lens:
    """camera_info: the file, where one is named; raises UserError where neither says."""
    if camera_info is not None:
        return read_camera_info(camera_info)
    section = known.intrinsics.get(camera)
    if section is None:
        raise UserError(
            f"the intrinsics of {camera} are not known: run `vdd calibrate intrinsics` first, or "
            "name its driver's file (--camera-info, camera_info:=)"
        )
    return Lens(section.width, section.height, section.matrix, np.array(section.distortion))


def prior_of(known: RobotCalibration, camera: str, log: PoseLog) -> LensPrior:
    """Of a camera's calibrated intrinsics, for hand-eye from a log of poses. What the same log, or
    a section that says of no covariance, says of the lens is not counted."""
    section = known.intrinsics[camera]
    source, count = section.source, len(NAMES)
    std = np.zeros(count)
    std[: len(section.std)] = section.std[:count]
    covariance = np.diag(std**2) if section.covariance is None else np.array(section.covariance)
    same = source.log_sha256 is None or source.log_sha256 == log.sha256
    return LensPrior(
        lens_of(known, camera), covariance, section.covariance is not None and not same
    )
