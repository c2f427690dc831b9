"""Where a camera is, on the arm or beside it: from a start to an estimate that knows its own error.

X, Y and, where wished, offsets of joints are refined together over the reprojection of all corners
of all views. Views and corners that do not fit are found by a robust loss and left out of the last
round, a plain least squares whose weights know both noises: of corners, and of the arm's joints,
which moves all corners of a view together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from vdd_ros.calibration import rigid
from vdd_ros.calibration.board_views import BoardViews, Sightings, sightings_of
from vdd_ros.calibration.hand_eye_problem import OF_POSES, Problem, Unknowns
from vdd_ros.calibration.hand_eye_start import Start, start_of
from vdd_ros.calibration.observability import (
    Spread,
    require_enough,
    require_frames,
    require_size,
)
from vdd_ros.calibration.view_weights import Whitening, whitening_of
from vdd_ros.errors import UserError

SEED = 0  # of the groups of views that are tried: the same views give the same result
ROUNDS = 4  # of finding what fits
NEAR_START = 5.0  # times the start's misfit, within which a view is refined at first
CORNER_CUT, VIEW_CUT = 5.0, 4.0  # times what is usual
LOOSE = 3.0  # times the noise, from which on the robust loss counts a corner for less
MOST_LEFT_OUT = 0.45  # of the views
LEAST_NOISE_PX = 1e-9
WORST_JOINT_NOISE = 0.03  # [rad, m]; hobby servos with their play have half as much
WORST_STD_M, WORST_STD_RAD = 0.01, np.radians(1.0)
RAYLEIGH_MEDIAN = 1.1774  # of the length of two Gaussian numbers, in their standard deviations


@dataclass(frozen=True)
class HandEyeEstimate:
    """X is `unknowns.camera`, Y `unknowns.target`.

    covariance: (12 + k, 12 + k) of X [m, rad], Y [m, rad], then of the offsets of joints `free`;
    information: its inverse;
    used: (N,) views that count; corners: (M,) corners that do; residuals: (M, 2) [pixels] of all,
    NaN of a view that puts the board behind the camera; held_out: (N,) root mean square
    reprojection error of a view by what all others say [pixels], NaN of views that do not count;
    shifts: (N, 12 + k) by how much the estimate changes without a view; shares: (N,) of all
    information that a view brings; apart: (N, 6) the board of each view against where the estimate
    has it, in the camera's axes [m, rad].
    """

    views: BoardViews
    sightings: Sightings
    spread: Spread
    start: Start
    unknowns: Unknowns
    free: np.ndarray
    covariance: np.ndarray
    information: np.ndarray
    used: np.ndarray
    corners: np.ndarray
    residuals: np.ndarray
    held_out: np.ndarray
    shifts: np.ndarray
    shares: np.ndarray
    apart: np.ndarray
    joint_noise: float

    @property
    def camera_std(self) -> tuple[float, float]:
        """Standard deviation of the camera's place [m] and of its rotation [rad], over all axes."""
        variances = np.diag(self.covariance)
        return float(np.sqrt(variances[:3].sum())), float(np.sqrt(variances[3:6].sum()))

    @property
    def reprojection(self) -> np.ndarray:
        """(K,) distances of the corners that count from where they should be [pixels]."""
        return np.linalg.norm(self.residuals[self.corners], axis=1)

    @property
    def per_view(self) -> np.ndarray:
        """(N,) root mean square reprojection error of each view, all its corners [pixels]."""
        squared = self.views.per_view((self.residuals**2).sum(1))
        return np.sqrt(squared / self.views.counts)


def hand_eye_of(views: BoardViews, joint_offsets: Sequence[int] = ()) -> HandEyeEstimate:
    """joint_offsets: which joints' offsets are estimated along with it, of views that come from
    joints. Raises UserError where the views say too little, contradict each other, or fit only with
    frames, a size or a board other than stated."""
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
        unknowns = _refined(Problem(kept, unknowns, free), sightings.noise, robust=True)
        before = used, corners
        used, corners = _fitting(views, unknowns, free, sightings.noise)
        _require_most(used)
        if (used == before[0]).all() and (corners == before[1]).all():
            break
    require_size(views.carried()[used], sightings.boards[used], unknowns.camera)
    kept = views.chosen(used, corners)
    unknowns = _refined(Problem(kept, unknowns, free), sightings.noise, robust=False)
    whitening = whitening_of(Problem(kept, unknowns, free), sightings.noise)
    unknowns = _refined(Problem(kept, unknowns, free), sightings.noise, False, whitening)
    counted = corners & used[views.view]
    return _judged(views, sightings, spread, start, unknowns, free, used, counted, whitening)


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
    scale = max(noise, LEAST_NOISE_PX)

    def residuals(change: np.ndarray) -> np.ndarray:
        left = problem.residuals(change) / scale
        # a step too far puts corners behind the camera: no pixel, and no way on
        left = np.nan_to_num(left, nan=1e6)
        return left.ravel() if whitening is None else whitening.of(left)

    def jacobian(change: np.ndarray) -> np.ndarray:
        slopes = np.nan_to_num(problem.jacobian(change) / scale)
        flat = slopes.reshape(-1, problem.size)
        return flat if whitening is None else whitening.of(slopes)

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
    return problem.start.changed(found.x, problem.free)


def _fitting(
    views: BoardViews, unknowns: Unknowns, free: np.ndarray, noise: float
) -> tuple[np.ndarray, np.ndarray]:
    """(N,) views and (M,) corners that fit."""
    left = Problem(views, unknowns, free).residuals(np.zeros(OF_POSES + len(free)))
    lengths = np.nan_to_num(np.linalg.norm(left, axis=1), nan=np.inf)
    typical = np.array([np.median(lengths[views.view == one]) for one in range(len(views))])
    usual = max(float(np.median(typical)), RAYLEIGH_MEDIAN * noise, LEAST_NOISE_PX)
    used = typical <= VIEW_CUT * usual
    corners = lengths <= CORNER_CUT * np.maximum(typical, usual)[views.view] / RAYLEIGH_MEDIAN
    enough = views.per_view(corners.astype(float)) >= 6
    return used & enough, corners


def _judged(
    views: BoardViews,
    sightings: Sightings,
    spread: Spread,
    start: Start,
    unknowns: Unknowns,
    free: np.ndarray,
    used: np.ndarray,
    corners: np.ndarray,
    whitening: Whitening,
) -> HandEyeEstimate:
    size = OF_POSES + len(free)
    scale, nothing = max(sightings.noise, LEAST_NOISE_PX), np.zeros(size)
    kept = views.chosen(used, corners)
    problem = Problem(kept, unknowns, free)
    raw, slopes = problem.residuals(nothing), problem.jacobian(nothing)
    left, flat = whitening.of(raw / scale), whitening.of(slopes / scale)
    view = np.repeat(kept.view, 2)
    information = np.stack([flat[view == one].T @ flat[view == one] for one in range(len(kept))])
    pull = np.stack([flat[view == one].T @ left[view == one] for one in range(len(kept))])
    whole = information.sum(0)
    shifts, held_out = np.full((len(views), size), np.nan), np.full(len(views), np.nan)
    shares = np.zeros(len(views))
    inverse = np.linalg.inv(whole)
    for place, index in enumerate(np.flatnonzero(used)):
        # at the least squares the pulls of all add up to nothing: without one view, a Newton step
        shifts[index] = np.linalg.solve(whole - information[place], pull[place])
        here = kept.view == place
        there = raw[here] + slopes[here] @ shifts[index]
        held_out[index] = np.sqrt((there**2).sum(1).mean())
        shares[index] = np.trace(inverse @ information[place]) / size
    free_numbers = max(1, left.size - size)
    covariance = inverse * max(1.0, float(left @ left) / free_numbers)
    expected = rigid.inverse(unknowns.camera) @ views.carried(
        unknowns.offsets if len(free) else None
    )
    expected = expected @ unknowns.target
    moves = sightings.boards[:, :3, 3] - expected[:, :3, 3]
    turns = rigid.log_rotation(
        sightings.boards[:, :3, :3] @ np.swapaxes(expected[:, :3, :3], -1, -2)
    )
    estimate = HandEyeEstimate(
        views,
        sightings,
        spread,
        start,
        unknowns,
        free,
        covariance,
        whole,
        used,
        corners,
        Problem(views, unknowns, free).residuals(nothing),
        held_out,
        shifts,
        shares,
        np.concatenate([moves, turns], axis=1),
        whitening.joint_noise,
    )
    _require_known(estimate)
    return estimate


def _require_most(used: np.ndarray) -> None:
    left_out = int((~used).sum())
    if left_out > MOST_LEFT_OUT * len(used):
        raise UserError(
            f"{left_out} of {len(used)} views do not fit the others: is the camera or the board "
            "loose, or are the arm's joints not those of the pictures? Take them anew, standing "
            "still"
        )


def _require_known(estimate: HandEyeEstimate) -> None:
    std_m, std_rad = estimate.camera_std
    if estimate.joint_noise > WORST_JOINT_NOISE:
        raise UserError(
            f"the views contradict each other, as if every joint were off by "
            f"{1e3 * estimate.joint_noise:.0f} mrad in each: is the camera or the board loose, or "
            "are the arm's joints not those of the pictures? Take them anew, standing still"
        )
    if std_m > WORST_STD_M or std_rad > WORST_STD_RAD:
        advice = "; ".join(estimate.spread.advice) or "come nearer, and turn the wrist further"
        raise UserError(
            f"the views leave the camera's place open by {1e3 * std_m:.1f} mm and "
            f"{np.degrees(std_rad):.2f} degrees (one standard deviation): {advice}"
        )
