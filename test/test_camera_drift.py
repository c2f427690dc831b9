"""A camera that was pushed since it was calibrated is found, one that was not raises no alarm."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

import numpy as np
import pytest
from planted_arms import setup
from render_calibration import contract

from vdd_ros import cli
from vdd_ros.calibration import rigid
from vdd_ros.calibration.camera_drift import camera_changes, changes_of
from vdd_ros.calibration.drift import judged
from vdd_ros.calibration.hand_eye import hand_eye_of
from vdd_ros.calibration.pose_log import PoseLog
from vdd_ros.calibration.recorded import hand_eye_section
from vdd_ros.calibration_parts import JointOffset, JointOffsets, Residuals, Source
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.robot_calibration import RobotCalibration

pytest.importorskip("cv2")
MADE, SOURCE = "2026-05-31T12:00:00Z", Source(method="made up", count=20)
PUSHED = rigid.exp(np.array([0.004, 0.0, 0.0, 0.0, 0.0, 0.01]))


def estimated(planted, seed: int):
    return hand_eye_of(planted.seen(np.random.default_rng(seed), 0.3, 1e-4))


@pytest.mark.parametrize("mounting", ["eye_in_hand", "eye_to_hand"])
def test_a_camera_that_was_pushed_is_found_with_its_way(mounting):
    planted = setup(mounting)
    section = hand_eye_section(estimated(planted, 0), contract(), "front", "a board", MADE, SOURCE)
    still = judged(changes_of("front", section, estimated(planted, 1)))
    assert not [row for row in still.rows if row["verdict"] == "MOVED"], still.sentences
    pushed = replace(planted, camera=PUSHED @ planted.camera)
    rows = judged(changes_of("front", section, estimated(pushed, 2))).rows
    moved = rigid.log_rotation((PUSHED @ planted.camera)[:3, :3] @ planted.camera[:3, :3].T)
    assert [row["moved"] for row in rows[3:]] == pytest.approx(moved, abs=1e-3)
    assert rows[5]["verdict"] == "MOVED" and rows[5]["what"] == (
        f"rotation z in {section.camera.parent_frame}"
    )


def test_few_views_know_their_own_noise_badly():
    planted = setup("eye_to_hand")
    few = replace(planted, joints=planted.joints[:8])
    section = hand_eye_section(estimated(few, 0), contract(), "front", "a board", MADE, SOURCE)
    changes = changes_of("front", section, estimated(few, 1))
    assert {one.then.freedom for one in changes} == {6 * SOURCE.count - 12}
    assert {one.now.freedom for one in changes} == {36}


def test_a_camera_is_stale_once_encoders_have_other_offsets(tmp_path, capsys):
    """By the offsets that it was estimated with, and by the day of one that does not say."""
    planted = setup("eye_to_hand")
    section = hand_eye_section(estimated(planted, 0), contract(), "front", "a board", MADE, SOURCE)
    assert section.encoders["panda_joint2"] == (1, 0.0) and len(section.encoders) == 7
    known = RobotCalibration(robot="panda", contract_hash="0", hand_eye={"front": section})
    assert known.stale_cameras == []
    nothing = Residuals(unit="rad", rms=0.0, median=0.0, p95=0.0, worst=0.0)
    offset = JointOffset(unit="rad", offset=0.01, std=1e-4, residuals=nothing)
    encoders = JointOffsets(
        made="2026-06-01T12:00:00Z",
        source=SOURCE,
        joints={"panda_joint2": offset},
        covariance=((1e-8,),),
    )
    known = known.model_copy(update={"encoders": encoders})
    assert known.stale_cameras == ["front"]
    known.write(tmp_path, datetime(2026, 6, 1, tzinfo=timezone.utc))
    assert cli.main(["calibrate", "show", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "where front is was estimated with other encoder offsets" in told
    taken = Contract.from_dict(
        contract().to_dict() | {"encoders": {"panda_joint2": {"sign": 1, "offset": 0.01}}}
    )
    anew = hand_eye_section(estimated(planted, 0), taken, "front", "a board", MADE, SOURCE)
    assert known.model_copy(update={"hand_eye": {"front": anew}}).stale_cameras == []
    older = section.model_copy(update={"encoders": None})
    newer = older.model_copy(update={"made": "2026-06-02T12:00:00Z"})
    both = known.model_copy(update={"hand_eye": {"older": older, "newer": newer}})
    assert both.stale_cameras == ["older"]


def test_what_was_never_calibrated_cannot_have_moved(tmp_path):
    PoseLog.begin(tmp_path / "poses", contract())
    known = RobotCalibration(robot="panda", contract_hash="0")
    with pytest.raises(UserError, match="pictures of no camera, the calibration knows where no"):
        camera_changes(known, tmp_path / "poses")
