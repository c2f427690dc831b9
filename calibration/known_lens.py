"""The intrinsics of a camera, from its driver's file or from what was calibrated."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vdd_ros.calibration.intrinsics import read_camera_info
from vdd_ros.calibration.lens import Lens
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
