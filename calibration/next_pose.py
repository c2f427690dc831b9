"""Which pose to take next: the one after which hand-eye is known best (D-optimal design).

A view at joints q adds H(q) = J^T W J to the information about X and Y; the best one makes
log det(H + H(q)) greatest (Fedorov 1972), which shrinks the volume of the ellipsoid of what is
still possible most. W knows the noise of corners and of joints, so that a second view from the same
place is worth little.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from vdd_ros.calibration import rigid
from vdd_ros.calibration.board import Corners, spans_a_plane
from vdd_ros.calibration.board_views import BoardViews, Mounting, carried
from vdd_ros.calibration.chain import Chain
from vdd_ros.calibration.hand_eye_estimate import HandEyeEstimate
from vdd_ros.calibration.hand_eye_problem import OF_POSES, Problem, Unknowns
from vdd_ros.calibration.lens import Lens

LEAST_NOISE_PX = 1e-3  # of pictures that were computed: one view would tell all
MARGIN_PX = 10.0
FLATTEST = 0.35  # cosine of the angle between the view and the board's axis, below which none reads


@dataclass(frozen=True)
class Known:
    """What is known so far, roughly or well: X, Y, and (12, 12) the information about them.

    points: (K, 3) all corners of the board [m]; noise_px: of a corner; joint_noise: of a joint
    [rad, m].
    """

    mounting: Mounting
    lens: Lens
    chain: Chain
    points: np.ndarray
    camera: np.ndarray
    target: np.ndarray
    information: np.ndarray
    noise_px: float
    joint_noise: float

    @classmethod
    def after(cls, estimate: HandEyeEstimate, points: np.ndarray) -> Known:
        """estimate: of views that come from joints."""
        views, unknowns = estimate.views, estimate.unknowns
        assert views.chain is not None
        information = np.linalg.inv(estimate.covariance[:OF_POSES, :OF_POSES])
        return cls(
            views.mounting,
            views.lens,
            views.chain,
            points,
            unknowns.camera,
            unknowns.target,
            (information + information.T) / 2.0,
            max(estimate.sightings.noise, LEAST_NOISE_PX),
            estimate.joint_noise,
        )

    def of_view(self, joints: np.ndarray) -> tuple[np.ndarray, int]:
        """(12, 12) information of a view at joints (n,), and how many corners it shows; none and 0
        where the board cannot be read."""
        tools = self.chain.poses(joints[None])
        board = (rigid.inverse(self.camera) @ carried(self.mounting, tools) @ self.target)[0]
        in_camera = rigid.moved(board, self.points)
        seen = self.lens.sees(self.lens.pixels(in_camera), MARGIN_PX)
        middle = in_camera.mean(0)
        facing = board[:3, 2] @ middle / np.linalg.norm(middle)
        if facing < FLATTEST or not spans_a_plane(self.points[seen]):
            return np.zeros((OF_POSES, OF_POSES)), 0
        corners = Corners(np.flatnonzero(seen), self.points[seen], np.zeros((int(seen.sum()), 2)))
        view = BoardViews.of_joints(self.mounting, self.lens, self.chain, joints[None], [corners])
        every = np.arange(len(joints))
        start = Unknowns(self.camera, self.target, np.zeros(len(joints)))
        slopes = Problem(view, start, every).jacobian(np.zeros(OF_POSES + len(every)))
        flat = slopes.reshape(-1, OF_POSES + len(every)) / self.noise_px
        of_poses, of_joints = flat[:, :OF_POSES], flat[:, OF_POSES:] * self.joint_noise
        inner = np.eye(len(joints)) + of_joints.T @ of_joints  # by Woodbury's identity
        across = of_joints.T @ of_poses
        return of_poses.T @ of_poses - across.T @ np.linalg.solve(inner, across), int(seen.sum())


class Suggestion(NamedTuple):
    """joints: (n,) to go to; gain: of log det of the information [nats]; corners: that will be
    seen; std_m, std_rad: of X afterwards, over all axes."""

    joints: np.ndarray
    gain: float
    corners: int
    std_m: float
    std_rad: float


def next_pose(
    known: Known, candidates: np.ndarray, is_free: Callable[[np.ndarray], bool]
) -> Suggestion | None:
    """The most informative of candidates (C, n) that `is_free` says can be gone to; None where no
    free one shows the board. `is_free` is asked from the best on, until it says yes."""
    views = [known.of_view(joints) for joints in candidates]
    before = np.linalg.slogdet(known.information)[1]
    gains = np.array(
        [np.linalg.slogdet(known.information + found)[1] - before for found, _ in views]
    )
    counts = np.array([count for _, count in views])
    for index in np.argsort(-gains, kind="stable"):
        if counts[index] and is_free(candidates[index]):
            after = np.linalg.inv(known.information + views[index][0])
            variances = np.diag(after)
            return Suggestion(
                candidates[index],
                float(gains[index]),
                int(counts[index]),
                float(np.sqrt(variances[:3].sum())),
                float(np.sqrt(variances[3:6].sum())),
            )
    return None


def candidates_around(
    rng: np.random.Generator,
    joints: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    count: int,
    reach: float = 0.6,
) -> np.ndarray:
    """(count, n) poses around joints (n,), within limits (n,); reach: at most so far [rad, m]."""
    tried = joints + rng.uniform(-reach, reach, (count, len(joints)))
    return np.clip(tried, lower, upper)
