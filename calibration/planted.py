"""Setups with a known truth: an arm, a camera on it or beside it, a board, and what is seen.

What a calibration is measured with. The arm's joints are random around a random pose, as far as the
board stays in the picture and is not seen from too flat. Poses that turn too little about a second
axis, which would be refused, are drawn anew.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vdd_ros.calibration import rigid
from vdd_ros.calibration.board import Board, Corners
from vdd_ros.calibration.board_views import BoardViews, Mounting, carried
from vdd_ros.calibration.chain import Chain
from vdd_ros.calibration.lens import Lens
from vdd_ros.calibration.observability import LEAST_TURN_RAD, spread_of_poses

BOARD = Board(columns=9, rows=6, square_m=0.03, marker_m=0.022)  # fits on A4
DISTANCE_M = (0.35, 0.8)  # of the board's middle from the camera
FLATTEST_RAD = np.radians(60.0)  # between the camera's axis and the board's
TURNED_RAD = 0.5  # by which joints are away from the middle pose, at most
MARGIN_PX = 8.0
ATTEMPTS = 2000


def usual_lens() -> Lens:
    """640 x 480 pixels, focal length 600 pixels, the distortion of a small lens."""
    matrix = np.array([[600.0, 0.0, 319.5], [0.0, 600.0, 239.5], [0.0, 0.0, 1.0]])
    return Lens(640, 480, matrix, np.array([-0.05, 0.02, 1e-3, -5e-4, 0.0]))


@dataclass(frozen=True)
class Setup:
    """joints: (N, n) true [rad, m]; camera, target: (4, 4) X and Y, as of BoardViews."""

    mounting: Mounting
    lens: Lens
    board: Board
    chain: Chain
    joints: np.ndarray
    camera: np.ndarray
    target: np.ndarray

    def boards(self) -> np.ndarray:
        """(N, 4, 4) T_cam_board, in truth."""
        tools = self.chain.poses(self.joints)
        return rigid.inverse(self.camera) @ carried(self.mounting, tools) @ self.target

    def seen(
        self,
        rng: np.random.Generator,
        noise_px: float = 0.0,
        joint_noise: float = 0.0,
        offsets: np.ndarray | None = None,
    ) -> BoardViews:
        """What is read and seen: corners with noise [pixels], encoders with noise [rad] that are
        `offsets` (n,) less than the joints."""
        points = self.board.points
        pixels = self.lens.pixels(rigid.moved(self.boards(), points))
        pixels = pixels + noise_px * rng.standard_normal(pixels.shape)
        read = self.joints + joint_noise * rng.standard_normal(self.joints.shape)
        read = read - (0.0 if offsets is None else offsets)
        corners = [Corners(np.arange(len(points)), points, one) for one in pixels]
        return BoardViews.of_joints(self.mounting, self.lens, self.chain, read, corners)


def setup_of(
    rng: np.random.Generator,
    chain: Chain,
    lower: np.ndarray,
    upper: np.ndarray,
    mounting: Mounting,
    views: int = 20,
    board: Board = BOARD,
    lens: Lens | None = None,
) -> Setup:
    """lower, upper: (n,) the joints' limits [rad, m]."""
    lens = lens or usual_lens()
    while True:
        found = _attempt(rng, chain, lower, upper, mounting, views, board, lens)
        if found is not None:
            return found


def _attempt(rng, chain, lower, upper, mounting, views, board, lens) -> Setup | None:
    middle = rng.uniform(lower + 0.25 * (upper - lower), upper - 0.25 * (upper - lower))
    tool = chain.poses(middle[None])[0]
    seen = _seen_from(rng, board)
    held = _held(rng)
    if mounting == "eye_in_hand":
        camera, target = held, tool @ held @ seen
    else:
        target, camera = held @ _centred(board), np.eye(4)
        camera = tool @ target @ rigid.inverse(seen)
    setup = Setup(mounting, lens, board, chain, middle[None], camera, target)
    kept: list[np.ndarray] = []
    for _ in range(ATTEMPTS // 100):
        tried = middle + rng.uniform(-TURNED_RAD, TURNED_RAD, (100, len(middle)))
        tried = np.clip(tried, lower, upper)
        good = sees_board(replace(setup, joints=tried))
        kept += list(tried[good])
        if len(kept) >= views:
            whole = replace(setup, joints=np.array(kept[:views]))
            spread = spread_of_poses(chain.poses(whole.joints))
            return whole if spread.principal[1] > LEAST_TURN_RAD else None
    return None


def sees_board(setup: Setup) -> np.ndarray:
    """(N,) whether the whole board is in the picture, near enough and not too flat."""
    boards = setup.boards()
    corners = rigid.moved(boards, setup.board.points)
    in_picture = setup.lens.sees(setup.lens.pixels(corners), MARGIN_PX).all(-1)
    middle = corners.mean(1)
    distance = np.linalg.norm(middle, axis=-1)
    facing = (boards[:, :3, 2] * middle).sum(-1) / distance
    near = (distance > DISTANCE_M[0]) & (distance < DISTANCE_M[1])
    return in_picture & near & (facing > np.cos(FLATTEST_RAD)) & (corners[..., 2] > 0.1).all(-1)


def _centred(board: Board) -> np.ndarray:
    """T_middle_board: the board's frame is at its corner."""
    width, height = board.size_m
    return rigid.pose(np.eye(3), np.array([-width / 2.0, -height / 2.0, 0.0]))


def _seen_from(rng: np.random.Generator, board: Board) -> np.ndarray:
    """T_cam_board about 0.55 m ahead, tilted by up to 0.4 rad, turned in any way."""
    tilt = rng.uniform(0.0, 0.4)
    around, turn = rng.uniform(0.0, 2.0 * np.pi, 2)
    w = tilt * np.array([np.cos(around), np.sin(around), 0.0])
    turned = rigid.exp_rotation(np.array([w, [0.0, 0.0, turn]]))
    ahead = np.array([*rng.uniform(-0.05, 0.05, 2), rng.uniform(0.5, 0.6)])
    return rigid.pose(turned[0] @ turned[1], ahead) @ _centred(board)


def _held(rng: np.random.Generator) -> np.ndarray:
    """(4, 4) of something on the tool: up to 0.1 m away along each axis, turned in any way."""
    w = rng.standard_normal(3)
    w *= rng.uniform(0.0, np.pi) / np.linalg.norm(w)
    return rigid.pose(rigid.exp_rotation(w), rng.uniform(-0.1, 0.1, 3))
