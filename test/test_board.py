"""Boards, intrinsics and recorded poses: from pictures to numbers and files."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml
from planted_arms import setup

from vdd_ros.calibration import rigid
from vdd_ros.calibration.board import Board, Corners, spans_a_plane
from vdd_ros.calibration.intrinsics import intrinsics_of, read_camera_info, write_camera_info
from vdd_ros.calibration.lens import Lens
from vdd_ros.calibration.planted import usual_lens
from vdd_ros.calibration.pose_log import PoseLog
from vdd_ros.calibration_parts import Source
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError

cv2 = pytest.importorskip("cv2")
CHARUCO = Board(columns=7, rows=5, square_m=0.03, marker_m=0.022)
TAGS = Board(
    kind="april_grid",
    columns=4,
    rows=3,
    square_m=0.04,
    gap_m=0.01,
    dictionary="DICT_APRILTAG_36h11",
)
SCALE = 4000.0  # pixels per metre


@pytest.mark.parametrize("board", [CHARUCO, TAGS])
def test_corners_of_a_printed_board_are_where_they_were_drawn(board):
    found = board.corners_in(board.picture(SCALE, margin_m=0.02))
    assert len(found.ids) == len(board.points)
    np.testing.assert_array_equal(found.points, board.points[found.ids])
    # a corner between pixels n-1 and n is at n - 0.5, pixels being counted by their middles
    expected = (found.points[:, :2] + 0.02) * SCALE - 0.5
    np.testing.assert_allclose(found.pixels, expected, atol=0.02 if board is CHARUCO else 0.1)
    assert np.abs((found.pixels - expected).mean(0)).max() < 0.01, "none to one side"


@pytest.mark.parametrize("board", [CHARUCO, TAGS])
def test_corners_are_numbered_as_opencv_numbers_them(board):
    made = board._opencv()
    told = made.getChessboardCorners() if board is CHARUCO else np.concatenate(made.getObjPoints())
    np.testing.assert_allclose(board.points, told, atol=1e-7)


def test_a_blank_picture_and_a_single_row_place_no_board():
    assert CHARUCO.corners_in(np.full((480, 640), 255, np.uint8)) is None
    one_more = np.array([0, 1, 2, 3, 4, 5, 8])  # a row and one of the next
    assert not spans_a_plane(CHARUCO.points[one_more])
    assert spans_a_plane(CHARUCO.points[[*one_more, 9]])
    picture = CHARUCO.picture(SCALE)
    square = round(0.03 * SCALE)
    assert CHARUCO.corners_in(picture[: 2 * square]) is None, "one line of corners"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"square_m": 30.0}, "write metres"),
        ({"marker_m": 0.04}, "is not below square_m"),
        ({"columns": 2}, "3 columns and rows"),
        ({"kind": "april_grid"}, "has gap_m and no marker_m"),
        ({"dictionary": "DICT_9X9"}, "one of OpenCV's"),
        ({"columns": 15, "rows": 14}, "has 105 markers, DICT_5X5_100 has 100"),
    ],
)
def test_impossible_boards_are_refused(change, complaint):
    with pytest.raises(ValueError, match=complaint):
        Board(**{**CHARUCO.model_dump(exclude_none=True), **change})


def views_of(lens: Lens, noise=0.0, count=20, tilt=0.5, seed=0) -> list[Corners]:
    """A board all over the picture, tilted by up to `tilt` [rad]."""
    rng, points, kept = np.random.default_rng(seed), CHARUCO.points, []
    while len(kept) < count:
        w = np.array([*rng.uniform(-tilt, tilt, 2), rng.uniform(-0.5, 0.5)])
        away = np.array([*rng.uniform(-0.22, 0.1, 2), rng.uniform(0.3, 0.5)])
        pixels = lens.pixels(rigid.moved(rigid.exp(np.array([0, 0, 0, *w])), points) + away)
        if lens.sees(pixels).all():
            noisy = pixels + noise * rng.standard_normal(pixels.shape)
            kept.append(Corners(np.arange(len(points)), points, noisy))
    return kept


def test_intrinsics_are_those_that_were_planted():
    lens = usual_lens()
    exact = intrinsics_of(views_of(lens), 640, 480)
    np.testing.assert_allclose(exact.lens.matrix, lens.matrix, atol=0.01)
    np.testing.assert_allclose(exact.lens.distortion, lens.distortion, atol=1e-3)
    noisy = intrinsics_of(views_of(lens, 0.2), 640, 480)
    found = np.array([*np.diag(noisy.lens.matrix)[:2], *noisy.lens.matrix[:2, 2]])
    assert np.abs((found - [600.0, 600.0, 319.5, 239.5]) / noisy.std[:4]).max() < 4.0
    section = noisy.section("2026-05-31T12:00:00Z", Source(method="x", count=20), CHARUCO)
    assert section.reprojection.rms == pytest.approx(0.2 * np.sqrt(2.0), rel=0.1)
    assert section.reprojection.cross_validated > section.reprojection.rms


def test_a_view_of_another_board_is_left_out():
    views = views_of(usual_lens(), 0.2)
    rng = np.random.default_rng(1)
    moved = views[3].pixels + rng.normal(0.0, 8.0, views[3].pixels.shape)
    views[3] = views[3]._replace(pixels=moved)
    found = intrinsics_of(views, 640, 480)
    assert np.flatnonzero(~found.used).tolist() == [3]
    assert found.lens.matrix[0, 0] == pytest.approx(600.0, abs=6.0)


@pytest.mark.parametrize(
    ("views", "complaint"),
    [
        (lambda: views_of(usual_lens(), count=5), "5 views of the board are too few"),
        (lambda: views_of(usual_lens(), 0.2, tilt=0.01), "tilted by|leave the focal length open"),
        (lambda: [views_of(usual_lens(), 0.2)[0]] * 20, "of the picture between left and right"),
    ],
)
def test_views_that_say_too_little_of_a_lens_are_refused(views, complaint):
    with pytest.raises(UserError, match=complaint):
        intrinsics_of(views(), 640, 480)


def test_camera_info_is_what_drivers_read_and_comes_back(tmp_path):
    path = tmp_path / "front.yaml"
    write_camera_info(path, "front", usual_lens())
    raw = yaml.safe_load(path.read_text())
    assert raw["camera_matrix"] == {
        "rows": 3,
        "cols": 3,
        "data": usual_lens().matrix.ravel().tolist(),
    }
    assert raw["projection_matrix"]["cols"] == 4 and raw["distortion_model"] == "plumb_bob"
    found = read_camera_info(path)
    np.testing.assert_array_equal(found.matrix, usual_lens().matrix)
    path.write_text("camera_matrix: {data: [1, 2]}\ndistortion_model: plumb_bob\n")
    with pytest.raises(UserError, match="is no camera info file"):
        read_camera_info(path)


def cameras() -> Contract:
    return Contract.from_yaml("config/panda_cameras.yaml")


def test_poses_are_on_the_disk_as_they_are_taken(tmp_path):
    contract = cameras()
    log = PoseLog.begin(tmp_path / "poses", contract, CHARUCO)
    joints = dict.fromkeys(contract.joint_names, 0.5)
    picture = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    log.add(1, joints, {"panda_joint1": 0.25}, {"front": picture})
    log.add(2, joints)
    found = PoseLog.read(tmp_path / "poses")
    assert found.header == log.header and found.poses == log.poses
    assert found.joints().tolist() == [[0.5] * 7] * 2
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(int)  # which decoders round otherwise
    assert np.abs(found.picture(found.poses[0], "front").astype(int) - grey).max() <= 1
    with pytest.raises(UserError, match="has poses already"):
        PoseLog.begin(tmp_path / "poses", contract)


def test_a_log_that_was_cut_off_keeps_what_was_whole(tmp_path):
    log = PoseLog.begin(tmp_path, cameras())
    log.add(1, dict.fromkeys(cameras().joint_names, 0.5))
    with (tmp_path / "poses.jsonl").open("a") as file:
        file.write('{"stamp_ns": 2, "joi')
    assert len(PoseLog.read(tmp_path).poses) == 1


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ({"stamp_ns": 1, "joints": {}}, "line 2 lacks joint panda_joint1"),
        ({"stamp_ns": 1, "joints": {}, "pictures": {"front": "../../x.png"}}, "line 2: pictures"),
        ({"stamp_ns": 1, "joints": {}, "extra": 1}, "unknown key 'extra'"),
    ],
)
def test_broken_logs_are_told_by_their_line(tmp_path, line, complaint):
    PoseLog.begin(tmp_path, cameras())
    with (tmp_path / "poses.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
    with pytest.raises(UserError, match=complaint):
        PoseLog.read(tmp_path)
    with pytest.raises(UserError, match="no poses in"):
        PoseLog.read(tmp_path / "nowhere")


def test_setups_show_the_whole_board():
    planted = setup("eye_in_hand")
    pixels = planted.lens.pixels(rigid.moved(planted.boards(), planted.board.points))
    assert planted.lens.sees(pixels).all()
