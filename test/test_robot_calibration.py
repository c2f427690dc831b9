"""The calibration file: written beside older ones, read back, and refused in one sentence."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
import yaml

from vdd_ros.calibration.recordings import keep
from vdd_ros.calibration_file import calibrated as with_calibration
from vdd_ros.calibration_file import encoders_apart, read_calibration
from vdd_ros.calibration_parts import (
    JointOffset,
    JointOffsets,
    Latency,
    Residuals,
    Source,
    Transform,
)
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.joint_correction import with_encoders
from vdd_ros.latencies import with_latencies
from vdd_ros.robot_calibration import RobotCalibration, is_empty, latest_of, newest_file

NOW = datetime(2026, 5, 31, 23, 59, 59, tzinfo=timezone.utc)
MADE = "2026-05-31T23:59:59Z"
SOURCE = Source(method="paired still poses", data=("poses.csv",), count=20, left_out=2)
RESIDUALS = Residuals(unit="rad", rms=1e-3, median=8e-4, p95=2e-3, worst=3e-3)
OFFSETS = JointOffsets(
    made=MADE,
    source=SOURCE,
    joints={
        "elbow": JointOffset(unit="rad", sign=-1, offset=0.1, std=1e-4, residuals=RESIDUALS),
        "wrist": JointOffset(unit="rad", offset=-0.2, std=2e-4, residuals=RESIDUALS),
    },
    covariance=((1e-8, 1e-9), (1e-9, 4e-8)),
)
DELAY = Latency(
    made=MADE,
    source=SOURCE,
    between=("robot_command", "joint_state"),
    delay_s=0.031,
    interval_s=(0.0302, 0.0318),
)


def calibrated(folder, now=NOW):
    known = latest_of(folder, "arm", "abc").model_copy(update={"encoders": OFFSETS})
    return known.write(folder, now)


def test_what_is_written_is_read_back(tmp_path):
    path = calibrated(tmp_path / "arm")
    found = RobotCalibration.read(path)
    assert found.encoders == OFFSETS and found.made == "2026-05-31" and found.robot == "arm"
    assert found.sha256 == found.checksum()
    assert read_calibration(path).made == "2026-05-31", "a recorder takes it as it is"


def test_a_file_whose_end_is_missing_is_no_whole_one(tmp_path):
    """However it still reads: the last section may be gone without a trace but the checksum."""
    path = calibrated(tmp_path / "arm")
    known = RobotCalibration.read(path).model_copy(update={"latency": {"elbow": DELAY}})
    path = known.write(tmp_path / "arm", NOW + timedelta(days=1))
    whole = path.read_text()
    path.write_text(whole[: whole.index("latency:")])
    with pytest.raises(UserError, match="was changed since it was made"):
        RobotCalibration.read(path)


def test_other_files_in_a_folder_are_no_calibration(tmp_path):
    (tmp_path / "board.yaml").write_text("kind: charuco\n")
    assert is_empty(tmp_path) and not is_empty(tmp_path / "nowhere")
    assert with_encoders({"joints": [], "encoders": "."}, tmp_path)["encoders"] == {}
    assert with_latencies({"joints": [], "latency": "."}, tmp_path) == {"joints": []}
    calibrated(tmp_path)
    assert not is_empty(tmp_path)


def test_a_section_is_added_to_what_is_known_and_older_files_stay(tmp_path):
    first = calibrated(tmp_path)
    before = first.read_bytes()
    known = latest_of(tmp_path, "arm", "def")
    later = known.model_copy(update={"latency": {"joint_state": DELAY}})
    second = later.write(tmp_path, NOW + timedelta(days=1))
    found = RobotCalibration.read(tmp_path)
    assert found.encoders == OFFSETS and found.latency == {"joint_state": DELAY}
    assert found.contract_hash == "def"
    assert first.read_bytes() == before and sorted(tmp_path.iterdir()) == [first, second]
    assert newest_file(tmp_path) == second
    assert read_calibration(tmp_path) == read_calibration(second) != read_calibration(first)


def test_two_of_one_second_do_not_overwrite_each_other(tmp_path):
    paths = [calibrated(tmp_path) for _ in range(3)]
    assert len(set(paths)) == 3 and newest_file(tmp_path) == paths[-1]


def test_a_change_by_hand_is_seen_and_can_be_meant(tmp_path):
    path = calibrated(tmp_path)
    raw = yaml.safe_load(path.read_text())
    raw["encoders"]["joints"]["elbow"]["offset"] = 0.2
    path.write_text(yaml.safe_dump(raw))
    with pytest.raises(UserError, match="was changed since it was made"):
        RobotCalibration.read(path)
    del raw["sha256"]
    path.write_text(yaml.safe_dump(raw))
    assert RobotCalibration.read(path).encoders.joints["elbow"].offset == 0.2


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"format_version": 2}, "format_version"),
        ({"gripers": {}}, "unknown key 'gripers'"),
        ({"encoders": {"made": "yesterday"}}, "made is 'yesterday'"),
        ({"encoders": {"covariance": [[1.0]]}}, "covariance is not 2 by 2"),
        ({"encoders": {"covariance": [[1.0, 0.0], [0.5, 1.0]]}}, "not symmetric"),
        ({"encoders": {"covariance": [[1.0, 2.0], [2.0, 1.0]]}}, "negative variance"),
    ],
)
def test_what_is_wrong_is_told_in_one_sentence(tmp_path, change, complaint):
    path = calibrated(tmp_path)
    raw = yaml.safe_load(path.read_text())
    for key, value in change.items():
        raw[key] = {**raw[key], **value} if isinstance(value, dict) and key in raw else value
    path.write_text(yaml.safe_dump(raw))
    with pytest.raises(UserError, match=complaint):
        RobotCalibration.read(path)


def test_folders_of_other_robots_and_empty_ones_are_refused(tmp_path):
    calibrated(tmp_path)
    with pytest.raises(UserError, match="calibration of arm, not of leg"):
        latest_of(tmp_path, "leg", "abc")
    with pytest.raises(UserError, match="of another robot than leg"):
        RobotCalibration(robot="leg", contract_hash="abc").write(tmp_path, NOW)
    with pytest.raises(UserError, match="no calibration in"):
        RobotCalibration.read(tmp_path.parent)


def test_a_transform_is_that_of_its_quaternion():
    from scipy.spatial.transform import Rotation

    turned = Rotation.from_rotvec([0.3, -1.2, 0.7])
    found = Transform(
        parent_frame="base",
        child_frame="camera",
        translation_m=(0.1, 0.2, 0.3),
        quat_xyzw=tuple(turned.as_quat()),
        covariance=tuple(map(tuple, np.zeros((6, 6)))),
    ).matrix
    np.testing.assert_allclose(found[:3, :3], turned.as_matrix(), atol=1e-15)
    assert found[:, 3].tolist() == [0.1, 0.2, 0.3, 1.0]


def test_contracts_of_two_tasks_of_one_robot_share_its_calibration(tmp_path):
    """Whatever is asked of a calibration asks whose it is; one without `robot` has its name."""
    avoid, seeing = (
        Contract.from_yaml(f"config/panda_{task}.yaml") for task in ("avoid", "cameras")
    )
    assert avoid.robot_name == seeing.robot_name == "panda" != avoid.name
    plain = Contract.from_dict({k: v for k, v in avoid.to_dict().items() if k != "robot"})
    assert plain.robot_name == "panda_avoid" and "robot" not in plain.to_dict()
    assert plain.interface_hash == avoid.interface_hash
    lag = DELAY.model_copy(update={"delay_s": 0.03, "interval_s": (0.02, 0.04)})
    keep(tmp_path, avoid, NOW, latency={"panda_joint1": lag})
    keep(tmp_path, seeing, NOW, latency={"panda_joint2": lag})
    for contract in (avoid, seeing):
        assert with_calibration(contract, tmp_path).latency.command_s == {
            "panda_joint1": 0.03,
            "panda_joint2": 0.03,
        }
    for asked in (
        lambda: with_calibration(plain, tmp_path),
        lambda: keep(tmp_path, plain, NOW, latency={"panda_joint1": lag}),
        lambda: with_latencies(plain.to_dict() | {"latency": "."}, tmp_path),
        lambda: with_encoders(plain.to_dict() | {"encoders": "."}, tmp_path),
    ):
        with pytest.raises(UserError, match="of panda, not of panda_avoid.*robot: panda"):
            asked()


def test_a_calibration_without_latencies_is_asked_whose_it_is_too(tmp_path):
    RobotCalibration(robot="leg", contract_hash="abc").write(tmp_path, NOW)
    with pytest.raises(UserError, match="calibration of leg, not of panda"):
        with_calibration(Contract.from_yaml("config/panda_avoid.yaml"), tmp_path)
    other = tmp_path / "other.yaml"
    other.write_text("format_version: 1\nmade: 2026-05-31\n")
    contract = Contract.from_yaml("config/panda_avoid.yaml")
    assert with_calibration(contract, other) == contract, "of another maker, who says its day only"


def test_encoder_offsets_that_a_contract_does_not_take_are_told(tmp_path):
    """A calibration that is given at run time brings latencies; encoders are the contract's."""
    plain = Contract.from_yaml("config/panda_avoid.yaml")
    one = OFFSETS.joints["elbow"]
    section = OFFSETS.model_copy(update={"joints": {"panda_joint2": one}, "covariance": ((1e-8,),)})
    known = latest_of(tmp_path, "panda", "abc")
    known.model_copy(update={"encoders": section}).write(tmp_path, NOW)
    assert with_calibration(plain, tmp_path).encoders == {}
    assert "of panda_joint2, but contract panda_avoid takes none" in encoders_apart(plain, tmp_path)
    taken = Contract.from_dict(with_encoders(plain.to_dict() | {"encoders": "."}, tmp_path))
    assert encoders_apart(taken, tmp_path) is None and encoders_apart(plain, "") is None
    moved = one.model_copy(update={"offset": 0.2})
    section = section.model_copy(update={"joints": {"panda_joint2": moved}})
    known.model_copy(update={"encoders": section}).write(tmp_path, NOW + timedelta(days=1))
    assert "panda_avoid has other ones" in encoders_apart(taken, tmp_path)
