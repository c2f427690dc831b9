"""Where a camera is, on the arm or beside it: from a start to an estimate that knows its own error.

X, Y, the lens as far as it is not known, and, where wished, offsets of joints are refined together
over the reprojection of all corners of all views. Views and corners that do not fit are
found by a robust loss and left out of the last round, a plain least squares whose weights know both
noises: of corners, and of the arm's joints, which moves all corners of a view together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.optimize import least_squares

from vdd_ros.calibration import rigid
from vdd_ros.calibration.board_views import BoardViews, Sightings, sightings_of
from vdd_ros.calibration.hand_eye_estimate import HandEyeEstimate, judged, require_known
from vdd_ros.calibration.hand_eye_problem import OF_POSES, Problem, Unknowns
from vdd_ros.calibration.hand_eye_start import Start, start_of
from vdd_ros.calibration.lens_prior import LensPrior
from vdd_ros.calibration.observability import require_enough, require_frames
from vdd_ros.calibration.view_weights import Whitening, whitening_of
from vdd_ros.errors import UserError

SEED = 0  # of the groups of views that are tried: the same views give the same result
ROUNDS = 4  # of finding what fits
NEAR_START = 5.0  # times the start's misfit, within which a view is refined at first
CORNER_CUT, VIEW_CUT = 5.0, 4.0  # times what is usual
LOOSE = 3.0  # times the noise, from which on the robust loss counts a corner for less
MOST_LEFT_OUT = 0.45  # of the views
RAYLEIGH_MEDIAN = 1.1774  # of the length of two Gaussian numbers, in their standard deviations


def hand_eye_of(
    views: BoardViews, joint_offsets: Sequence[int] = (), prior: LensPrior | None = None
) -> HandEyeEstimate:
    """joint_offsets: which joints' offsets are estimated along with it, of views that come from
    joints; prior: how well the views' lens is known, None where it is exact. Raises
    UserError where the views say too little, contradict each other, or fit only with frames, a size
    or a board other than stated."""
    free = np.array(joint_offsets, dtype=int)
    sightings = sightings_of(views)
    spread = require_enough(views, sightings)
    rng = np.random.default_rng(SEED)
    start = start_of(views.carried(), sightings.boards, views.radius_m, rng)
    start = require_frames(views, sightings, start, rng)
    count = 0 if views.joints is None else views.joints.shape[1]
    unknowns = Unknowns(start.camera, start.target, np.zeros(count))
    used, corners = _near_start(views, sightings, start), np.ones(len(views.view), bool)
    for _ in range(ROUNDS):
        kept = views.chosen(used, corners)
        unknowns = _refined(Problem(kept, unknowns, free, prior), sightings.noise, robust=True)
        before = used, corners
        used, corners = _fitting(views, unknowns, free, sightings.noise)
        _require_most(used)
        if (used == before[0]).all() and (corners == before[1]).all():
            break
    if prior is not None and unknowns.lens is not None:  # noise is what no pose explains with it
        views = replace(views, lens=unknowns.lens)
        sightings = sightings_of(views)
    kept = views.chosen(used, corners)
    unknowns = _refined(Problem(kept, unknowns, free, prior), sightings.noise, robust=False)
    problem = Problem(kept, unknowns, free, prior)
    whitening = whitening_of(problem, sightings.noise)
    unknowns = _refined(problem, sightings.noise, False, whitening)
    if unknowns.lens is not None:
        views = replace(views, lens=unknowns.lens)
    counted = corners & used[views.view]
    problem = Problem(kept, unknowns, free, prior)
    found = judged(views, sightings, spread, problem, used, counted, whitening)
    require_known(found)
    return found


def _near_start(views: BoardViews, sightings: Sightings, start: Start) -> np.ndarray:
    """(N,) views that go with the start."""
    expected = rigid.inverse(start.camera) @ views.carried() @ start.target
    away = np.hypot(
        rigid.distance_between(expected, sightings.boards),
        views.radius_m * rigid.angle_between(expected, sightings.boards),
    )
    return away <= max(NEAR_START * float(np.median(away)), 1e-9)


def _refined(
    problem: Problem, noise: float, robust: bool, whitening: Whitening | None = None
) -> Unknowns:
    def residuals(change: np.ndarray) -> np.ndarray:
        left = problem.residuals(change) / noise
        # a step too far puts corners behind the camera: no pixel, and no way on
        left = np.nan_to_num(left, nan=1e6)
        flat = left.ravel() if whitening is None else whitening.of(left)
        return np.concatenate([flat, problem.held(change)])

    def jacobian(change: np.ndarray) -> np.ndarray:
        slopes = np.nan_to_num(problem.jacobian(change) / noise)
        flat = slopes.reshape(-1, problem.size) if whitening is None else whitening.of(slopes)
        return np.concatenate([flat, problem.held_slopes()])

    found = least_squares(
        residuals,
        np.zeros(problem.size),
        jacobian,
        x_scale="jac",
        loss="cauchy" if robust else "linear",
        f_scale=LOOSE,
        max_nfev=60,
        xtol=1e-12,
        ftol=1e-12,
        gtol=1e-12,
    )
    return problem.at(found.x)


def _fitting(
    views: BoardViews, unknowns: Unknowns, free: np.ndarray, noise: float
) -> tuple[np.ndarray, np.ndarray]:
    """(N,) views and (M,) corners that fit."""
    left = Problem(views, unknowns, free).residuals(np.zeros(OF_POSES + len(free)))
    lengths = np.nan_to_num(np.linalg.norm(left, axis=1), nan=np.inf)
    typical = np.array([np.median(lengths[views.view == one]) for one in range(len(views))])
    usual = max(float(np.median(typical)), RAYLEIGH_MEDIAN * noise)
    used = typical <= VIEW_CUT * usual
    corners = lengths <= CORNER_CUT * np.maximum(typical, usual)[views.view] / RAYLEIGH_MEDIAN
    enough = views.per_view(corners.astype(float)) >= 6
    return used & enough, corners


def _require_most(used: np.ndarray) -> None:
    left_out = int((~used).sum())
    if left_out > MOST_LEFT_OUT * len(used):
        raise UserError(
            f"{left_out} of {len(used)} views do not fit the others: is the camera or the board "
            "loose, or are the arm's joints not those of the pictures? Take them anew, standing "
            "still"
        )
