"""The whole way on pictures that are really rendered: robosuite's scene, a board as a texture."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import drawing
import numpy as np
import pytest

from vdd_ros import cli
from vdd_ros.calibration import rigid
from vdd_ros.calibration.intrinsics import write_camera_info
from vdd_ros.calibration.lens import Lens
from vdd_ros.robot_calibration import RobotCalibration

pytest.importorskip("cv2")
VIEWS = 12


def rendered(folder: Path, mounting: str, offset: float) -> dict:
    """What was planted."""
    root = drawing.ROOT
    program = root / "test" / "render_calibration.py"
    command = [sys.executable, str(program), str(folder), mounting, str(VIEWS), str(offset)]
    environment = drawing.environment(drawing.gl()) | {"PYTHONPATH": str(root)}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(("mounting", "offset"), [("eye_in_hand", 0.01), ("eye_to_hand", 0.0)])
def test_a_camera_is_found_in_rendered_pictures(tmp_path, capsys, mounting, offset):
    """With the camera on the arm, an encoder is off as well, and is found along with it."""
    truth = rendered(tmp_path / "poses", mounting, offset)
    assert truth["simulator_apart_m"] < 1e-3, "the simulated arm is nearly the one of the model"
    matrix = np.array(truth["matrix"])
    write_camera_info(tmp_path / "front.yaml", "front", Lens(640, 480, matrix))
    words = ["--into", str(tmp_path / "calibration"), "--camera", "front", "--mounting", mounting]
    words += ["--camera-info", str(tmp_path / "front.yaml")]
    if offset:
        words += ["--joint-offsets", "panda_joint3", "panda_joint4", "panda_joint5"]
    assert cli.main(["calibrate", "hand-eye", str(tmp_path / "poses"), *words]) == 0
    told = capsys.readouterr().out
    known = RobotCalibration.read(tmp_path / "calibration")
    section = known.hand_eye["front"]
    camera = np.array(truth["camera"])
    assert rigid.distance_between(section.camera.matrix, camera) < 1e-3, told
    assert np.degrees(rigid.angle_between(section.camera.matrix, camera)) < 0.1, told
    if offset:
        found = known.encoders.joints["panda_joint4"].offset
        assert found == pytest.approx(offset, abs=5e-4), told
    assert section.reprojection.rms < 0.6 and section.source.count >= 10, told
