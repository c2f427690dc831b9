"""`vdd calibrate`: from recorded poses and pictures to the robot's calibration file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from planted_arms import LOWER, UPPER, panda
from render_calibration import BOARD, contract

from vdd_ros import cli
from vdd_ros.calibration import rigid
from vdd_ros.calibration.board import Board
from vdd_ros.calibration.intrinsics import read_camera_info, write_camera_info
from vdd_ros.calibration.lens import Lens
from vdd_ros.calibration.planted import Setup, setup_of
from vdd_ros.calibration.pose_log import PoseLog
from vdd_ros.calibration.recorded import joints_by_name
from vdd_ros.robot_calibration import RobotCalibration
from vdd_ros.teleop.device import read_device
from vdd_ros.teleop.leader_map import LeaderMap
from vdd_ros.yaml_file import read_yaml

cv2 = pytest.importorskip("cv2")
SCALE, MARGIN_M = 5000.0, 0.02
MATRIX = np.array([[600.0, 0.0, 319.5], [0.0, 600.0, 239.5], [0.0, 0.0, 1.0]])
LENS = Lens(640, 480, MATRIX)


def picture_of(board_in_camera: np.ndarray) -> np.ndarray:
    """(480, 640) uint8: the printed board as a camera without distortion sees it."""
    printed = BOARD.picture(SCALE, MARGIN_M)
    # from pixels of the print, counted by their middles, to the board's plane
    to_plane = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, SCALE]]) / SCALE
    to_plane[:2, 2] -= MARGIN_M
    plane = np.stack([*board_in_camera[:3, :2].T, board_in_camera[:3, 3]], axis=1)
    seen = cv2.warpPerspective(
        printed, MATRIX @ plane @ to_plane, (640, 480), flags=cv2.INTER_AREA, borderValue=190
    )
    return cv2.GaussianBlur(seen, (3, 3), 0.6)


@pytest.fixture(scope="module")
def planted() -> Setup:
    rng = np.random.default_rng(11)
    return setup_of(rng, panda(), LOWER, UPPER, "eye_to_hand", 16, BOARD, LENS)


@pytest.fixture(scope="module")
def poses(planted, tmp_path_factory):
    """Poses with pictures and a leader, one of which is of a leader that was let go of."""
    robot, rng = contract(), np.random.default_rng(12)
    log = PoseLog.begin(tmp_path_factory.mktemp("poses") / "poses", robot, BOARD)
    for number, (joints, board) in enumerate(zip(planted.joints, planted.boards(), strict=True)):
        leader = -joints + 0.25 + 1e-4 * rng.standard_normal(7) + (0.5 if number == 3 else 0.0)
        names = robot.joint_names
        log.add(
            number,
            dict(zip(names, joints.tolist(), strict=True)),
            dict(zip(names, leader.tolist(), strict=True)),
            {"front": picture_of(board)},
        )
    return log.folder


def run(capsys, *words) -> dict:
    assert cli.main([*map(str, words), "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_sections_are_added_one_after_another(capsys, poses, planted, tmp_path):
    """Leader, then camera; the newest file says both, and the older one is still there."""
    into = tmp_path / "calibration"
    found = run(capsys, "calibrate", "joints", poses, "--into", into, "--against", "leader")
    assert found["joints"]["panda_joint1"]["sign"] == -1
    assert found["joints"]["panda_joint1"]["offset"] == pytest.approx(0.25, abs=2e-4)
    assert found["source"]["left_out"] == 1
    info = tmp_path / "front.yaml"
    write_camera_info(info, "front", LENS)
    words = ("--camera", "front", "--mounting", "eye_to_hand", "--camera-info", info)
    found = run(capsys, "calibrate", "hand-eye", poses, "--into", into, *words)
    known = RobotCalibration.read(into)
    assert known.hand_eye["front"].lens.std[0] > 0.0, "nobody said that the file is exact"
    camera = known.hand_eye["front"].camera
    assert (camera.parent_frame, camera.child_frame) == ("panda_link0", "front_optical_frame")
    assert rigid.distance_between(camera.matrix, planted.camera) < 1e-3
    assert rigid.angle_between(camera.matrix, planted.camera) < 1e-3
    assert known.leader.joints["panda_joint7"].sign == -1
    assert len(list(into.iterdir())) == 2 and found["reprojection"]["rms"] < 0.5
    watch = ("calibrate", "drift", poses, "--calibration", into, "--camera-info", info)
    assert run(capsys, *watch)["verdict"] == "STEADY", "the same poses"
    exact = ("--camera-info-std", 0)
    run(capsys, "calibrate", "hand-eye", poses, "--into", into, *words, *exact)
    assert RobotCalibration.read(into).hand_eye["front"].lens is None
    run(capsys, "calibrate", "intrinsics", poses, "--into", into, "--camera", "front")
    own = ["calibrate", "hand-eye", str(poses), "--into", str(into), *words[:4]]
    assert cli.main(own) == 0
    assert "estimated along with it, from these views only" in capsys.readouterr().out
    section = RobotCalibration.read(into).hand_eye["front"]
    with_lens, alone = np.array(section.camera.covariance), np.array(section.lens.given)
    assert np.trace(with_lens[:3, :3]) > np.trace(alone[:3, :3])
    assert run(capsys, *watch[:-2])["verdict"] == "STEADY", "by the lens of then"
    joints = ("--joint-offsets", "panda_joint2", "panda_joint4")
    found = run(capsys, "calibrate", "hand-eye", poses, "--into", into, *words, *joints)
    offsets = RobotCalibration.read(into).encoders.joints
    assert set(offsets) == {"panda_joint2", "panda_joint4"}
    for name, one in offsets.items():
        assert abs(one.offset) < 4.0 * one.std and found["joints"][name] == one.offset
    shown = run(capsys, "calibrate", "show", into)
    assert set(shown["hand_eye"]) == {"front"} and shown["robot"] == "panda"


def test_a_leader_s_joints_are_never_taken_for_the_model_s(capsys, poses, tmp_path):
    """Encoders' offsets move the arm; a leader's do not."""
    into, robot = tmp_path / "calibration", contract()
    assert cli.main(["calibrate", "joints", str(poses), "--into", str(into)]) == 2
    assert "does not say what joints are compared with" in capsys.readouterr().err
    log = PoseLog.begin(tmp_path / "led", robot, against="leader")
    for pose in PoseLog.read(poses).poses:
        log.add(pose.stamp_ns, pose.joints, pose.reference)
    words = ["calibrate", "joints", str(log.folder), "--into", str(into)]
    assert cli.main([*words, "--against", "model"]) == 2
    assert "are compared with the leader, not with the model" in capsys.readouterr().err
    assert not into.exists()
    run(capsys, *words)
    known = RobotCalibration.read(into)
    assert known.encoders is None and known.leader is not None


def test_a_leader_s_device_file_has_what_was_found_once(capsys, poses, tmp_path):
    """What the device made of the leader is 0.25 minus the arm: with it, arm and leader agree."""
    into, device, out = tmp_path / "robot", tmp_path / "leader.yaml", tmp_path / "new.yaml"
    raw = yaml.safe_load(Path("config/teleop/leader_panda.yaml").read_text())
    raw["joints"]["panda_joint2"] = {"leader": "lead_2", "sign": -1, "scale": 0.5, "offset": 0.3}
    raw["joints"]["panda_joint3"] = {"leader": "lead_3", "span": [0.0, 1.0], "means": [-1.0, 1.0]}
    device.write_text(yaml.safe_dump(raw))
    command = ["calibrate", "device", str(device), "--calibration", str(into)]
    assert cli.main([*command, "--out", str(out)]) == 2
    assert "no calibration file at" in capsys.readouterr().err
    run(capsys, "calibrate", "joints", poses, "--into", into, "--against", "leader")
    run(capsys, *command, "--out", out)
    before, after = (LeaderMap(read_device(one), contract()) for one in (device, out))
    names = [one["leader"] for one in raw["joints"].values()]
    values = np.full(7, 0.4)
    was, now = before.read(names, values), after.read(names, values)
    np.testing.assert_allclose(now, 0.25 - was, atol=2e-4)
    again = ["calibrate", "device", str(out), *command[3:]]
    pad = ["calibrate", "device", "config/teleop/gamepad.yaml", *command[3:]]
    unwritten = tmp_path / "unwritten.yaml"
    for words, told in (
        ([*command, "--out", str(out)], "is there already"),
        ([*again, "--out", str(unwritten)], "has what was calibrated until"),
        ([*command, "--out", str(tmp_path / "nowhere" / "x.yaml")], "is no folder"),
        ([*pad, "--out", str(unwritten)], "is for source joy"),
    ):
        assert cli.main(words) == 2
        assert told in capsys.readouterr().err
    raw["held"] = ["panda_joint4"]
    del raw["joints"]["panda_joint4"]
    device.write_text(yaml.safe_dump(raw))
    assert cli.main([*command, "--out", str(unwritten)]) == 2
    assert "has no joint panda_joint4 of the leader" in capsys.readouterr().err
    assert not unwritten.exists()


def test_the_table_of_joints_is_whole_in_a_narrow_terminal(capsys, monkeypatch, poses, tmp_path):
    monkeypatch.setenv("COLUMNS", "80")
    words = ["joints", str(poses), "--into", str(tmp_path), "--against", "leader"]
    assert cli.main(["calibrate", *words]) == 0
    told = capsys.readouterr().out
    assert (
        all(name in told for name in contract().joint_names)
        and "\N{HORIZONTAL ELLIPSIS}" not in told
    )


def changed(poses, folder, picture=lambda one: one, joints=lambda one: one):
    """The same poses with other pictures, or other joints."""
    robot, before = contract(), PoseLog.read(poses)
    log = PoseLog.begin(folder, robot, BOARD)
    for pose in before.poses:
        told = {name: joints(value) for name, value in pose.joints.items()}
        log.add(pose.stamp_ns, told, None, {"front": picture(before.picture(pose, "front"))})
    return log.folder


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"picture": lambda one: one[:, ::-1]}, "the board is mirrored in front/000000.png"),
        ({"joints": lambda one: float(np.degrees(one))}, "is its driver in degrees"),
    ],
)
def test_what_is_wrong_with_poses_is_named(capsys, poses, tmp_path, change, complaint):
    info, into = tmp_path / "front.yaml", tmp_path / "calibration"
    write_camera_info(info, "front", LENS)
    folder = changed(poses, tmp_path / "poses", **change)
    words = ["--camera", "front", "--mounting", "eye_to_hand", "--camera-info", str(info)]
    assert cli.main(["calibrate", "hand-eye", str(folder), "--into", str(into), *words]) == 2
    assert complaint in capsys.readouterr().err and not into.exists()


def test_a_joint_named_twice_is_one():
    chain = panda()
    assert joints_by_name(chain, ("panda_joint2", "panda_joint2")) == (1,)


def test_a_camera_info_file_needs_a_folder(capsys, poses, tmp_path):
    words = ["--camera", "front", "--camera-info", str(tmp_path / "nowhere" / "front.yaml")]
    into = tmp_path / "calibration"
    assert cli.main(["calibrate", "intrinsics", str(poses), "--into", str(into), *words]) == 2
    assert "is no folder" in capsys.readouterr().err and not into.exists()
    words[-1] = str(info := tmp_path / "front.yaml")
    info.write_text("what a driver uses\n")
    assert cli.main(["calibrate", "intrinsics", str(poses), "--into", str(into), *words]) == 2
    assert "is there already" in capsys.readouterr().err and not into.exists()
    assert info.read_text() == "what a driver uses\n"


def test_how_far_off_a_lens_may_be_is_a_small_share(capsys, poses, tmp_path):
    words = ["--camera", "front", "--mounting", "eye_to_hand", "--camera-info-std", "0.5"]
    assert cli.main(["calibrate", "hand-eye", str(poses), "--into", str(tmp_path), *words]) == 2
    assert "--camera-info-std is 0.5: write 0 to 0.05" in capsys.readouterr().err


def test_intrinsics_become_a_file_for_drivers(capsys, planted, tmp_path):
    """Pictures that fill the frame, tilted this way and that."""
    rng, robot = np.random.default_rng(13), contract()
    log = PoseLog.begin(tmp_path / "poses", robot, BOARD)
    joints = dict.fromkeys(robot.joint_names, 0.0)
    while len(log.poses) < 14:
        w = np.array([*rng.uniform(-0.6, 0.6, 2), rng.uniform(-0.5, 0.5)])
        away = [*rng.uniform(-0.22, 0.1, 2), rng.uniform(0.28, 0.42)]
        board = rigid.exp(np.array([0, 0, 0, *w]))
        board[:3, 3] = away
        if LENS.sees(LENS.pixels(rigid.moved(board, BOARD.points)), 5.0).all():
            log.add(len(log.poses), joints, pictures={"front": picture_of(board)})
    info, into = tmp_path / "front.yaml", tmp_path / "calibration"
    words = ("--into", into, "--camera", "front", "--camera-info", info)
    found = run(capsys, "calibrate", "intrinsics", log.folder, *words)
    assert found["fx"] == pytest.approx(600.0, abs=6.0) and found["source"]["count"] == 14
    lens = read_camera_info(info)
    assert lens.matrix[0, 0] == found["fx"] and (lens.width, lens.height) == (640, 480)
    assert RobotCalibration.read(into).intrinsics["front"].matrix[0, 0] == found["fx"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--camera", "wrist", "--mounting", "eye_to_hand"), "are not known: run"),
        (("--camera", "left", "--mounting", "eye_to_hand"), "has no camera 'left'"),
    ],
)
def test_what_is_missing_is_told(capsys, poses, tmp_path, words, complaint):
    into = tmp_path / "calibration"
    assert cli.main(["calibrate", "hand-eye", str(poses), "--into", str(into), *words]) == 2
    assert complaint in capsys.readouterr().err
    assert not into.exists()


def test_pictures_of_another_size_than_the_lens_are_refused(capsys, poses, tmp_path):
    info = tmp_path / "front.yaml"
    write_camera_info(info, "front", replace(LENS, width=1280, height=960))
    words = ["--camera", "front", "--mounting", "eye_to_hand", "--camera-info", str(info)]
    words += ["--into", str(tmp_path / "calibration")]
    assert cli.main(["calibrate", "hand-eye", str(poses), *words]) == 2
    assert "the pictures are 640x480, the intrinsics are of 1280x960" in capsys.readouterr().err


def test_a_board_is_made_to_be_printed(capsys, tmp_path):
    out = tmp_path / "board.png"
    found = run(capsys, "calibrate", "board", out, "--dpi", "200")
    assert found["board"]["square_m"] == 0.03
    assert read_yaml(tmp_path / "board.yaml", Board, "board") == BOARD
    assert cli.main(["calibrate", "board", str(out)]) == 2, "what was measured stays"
    assert "board.yaml is there already" in capsys.readouterr().err
    assert BOARD.corners_in(cv2.imread(str(out), cv2.IMREAD_GRAYSCALE)).ids.size == 24


@pytest.mark.parametrize(
    ("out", "words", "complaint"),
    [
        ("board.pdf", (), "is no .png"),
        ("nowhere/board.png", (), "in a folder that is there"),
        ("board.png", ("--square-mm", "900", "--dpi", "2400"), "at most 20000"),
        ("board.png", ("--marker-mm", "2", "--dpi", "30"), "at least 20"),
        ("board.png", ("--columns", "30", "--rows", "30"), "has 450 markers"),
        ("board.png", ("--square-mm", "20"), ": marker_m 0.022 is not below square_m 0.02; "),
    ],
)
def test_a_board_that_cannot_be_printed_is_refused(capsys, tmp_path, out, words, complaint):
    assert cli.main(["calibrate", "board", str(tmp_path / out), *words]) == 2
    assert complaint in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_bench_keeps_its_bounds_and_says_so(capsys):
    words = ("--setups", "5", "--rows", "joint_offsets", "hand_eye", "outliers")
    found = run(capsys, "bench", "calibration", *words)
    rows = {row["row"]: row for row in found["rows"]}
    assert found["ok"] and set(rows) >= {"joint_offsets", "hand_eye", "outliers"}
    for row in rows.values():
        assert row["errors"].keys() == row["bounds"].keys()
    assert len(rows["hand_eye"]["levels"]) == 4
    assert set(rows["hand_eye"]["levels"][0]["opencv_mm"]) == {
        "TSAI", "PARK", "HORAUD", "ANDREFF", "DANIILIDIS",
    }  # fmt: skip
