"""HandEyeEstimate: where a camera is, and all that is said of how well that is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vdd_ros.calibration import rigid
from vdd_ros.calibration.board_views import BoardViews, Sightings
from vdd_ros.calibration.hand_eye_problem import Problem, Unknowns
from vdd_ros.calibration.lens import NAMES
from vdd_ros.calibration.observability import Spread
from vdd_ros.calibration.scale_check import Factors, factors_of, require_as_stated
from vdd_ros.calibration.summary import inverse_of
from vdd_ros.calibration.view_weights import Whitening
from vdd_ros.errors import UserError

WORST_JOINT_NOISE = 0.03  # [rad, m]; hobby servos with their play have half as much
WORST_STD_M, WORST_STD_RAD = 0.01, np.radians(1.0)


@dataclass(frozen=True)
class HandEyeEstimate:
    """X is `unknowns.camera`, Y `unknowns.target`.

    covariance: (12 + k, 12 + k) of X [m, rad], Y [m, rad], then of the offsets of joints `free`,
    with what is not known of the lens; given_lens: (6, 6) of X, were the lens exactly
    `unknowns.lens`: what two estimates by one lens differ by; lens_std: (9,) of the lens's numbers,
    0 of those that were taken as exact;
    used: (N,) views that count; corners: (M,) corners that do; residuals: (M, 2) [pixels] of all,
    NaN of a view that puts the board behind the camera; held_out: (N,) root mean square
    reprojection error of a view by what all others say [pixels], NaN of views that do not count;
    shifts: (N, 12 + k + l) by how much the estimate changes without a view; shares: (N,) of all
    information that a view brings; apart: (N, 6) the board of each view against where the estimate
    has it, in the camera's axes [m, rad]; deviations: (K, n) by how much joints were off in the
    views that count, most likely, and joint_noise: the standard deviation of one [rad, m]; factors:
    on focal length and board that would fit best.
    """

    views: BoardViews
    sightings: Sightings
    spread: Spread
    unknowns: Unknowns
    free: np.ndarray
    covariance: np.ndarray
    given_lens: np.ndarray
    lens_std: np.ndarray
    used: np.ndarray
    corners: np.ndarray
    residuals: np.ndarray
    held_out: np.ndarray
    shifts: np.ndarray
    shares: np.ndarray
    apart: np.ndarray
    deviations: np.ndarray
    joint_noise: float
    factors: Factors

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


def judged(
    views: BoardViews,
    sightings: Sightings,
    spread: Spread,
    problem: Problem,
    used: np.ndarray,
    corners: np.ndarray,
    whitening: Whitening,
) -> HandEyeEstimate:
    """What is said of the start of `problem`, which is at the least squares of the corners (M,)
    that count."""
    size, unknowns, kept = problem.size, problem.start, problem.views
    noise, nothing = sightings.noise, np.zeros(size)
    raw, slopes = problem.residuals(nothing), problem.jacobian(nothing)
    left = np.concatenate([whitening.of(raw / noise), problem.held(nothing)])
    flat = np.concatenate([whitening.of(slopes / noise), problem.held_slopes()])
    whole = flat.T @ flat
    inverse = inverse_of(whole)
    shifts, held_out = np.full((len(views), size), np.nan), np.full(len(views), np.nan)
    shares = np.zeros(len(views))
    for place, index in enumerate(np.flatnonzero(used)):
        rows, here = np.flatnonzero(np.repeat(kept.view, 2) == place), kept.view == place
        mine = flat[rows].T @ flat[rows]
        # at the least squares the pulls of all add up to nothing: without one view, a Newton step
        shifts[index] = np.linalg.solve(whole - mine, flat[rows].T @ left[rows])
        there = raw[here] + slopes[here] @ shifts[index]
        held_out[index] = np.sqrt((there**2).sum(1).mean())
        shares[index] = np.trace(inverse @ mine) / size
    of_arm, larger = problem.of_arm, max(1.0, float(left @ left) / max(1, left.size - size))
    lens_std = np.zeros(len(NAMES))
    if problem.prior is not None:
        lens_std[problem.prior.free] = np.sqrt(larger * np.diag(inverse)[of_arm:])
    return HandEyeEstimate(
        views,
        sightings,
        spread,
        unknowns,
        problem.free,
        larger * inverse[:of_arm, :of_arm],
        larger * inverse_of(whole[:of_arm, :of_arm])[:6, :6],
        lens_std,
        used,
        corners,
        Problem(views, unknowns, problem.free).residuals(np.zeros(of_arm)),
        held_out,
        shifts,
        shares,
        _apart(views, sightings, unknowns),
        whitening.deviations(raw / noise),
        whitening.joint_noise,
        factors_of(problem, whitening, noise),
    )


def _apart(views: BoardViews, sightings: Sightings, unknowns: Unknowns) -> np.ndarray:
    """(N, 6) [m, rad]"""
    expected = rigid.inverse(unknowns.camera) @ views.carried(unknowns.offsets) @ unknowns.target
    back = np.swapaxes(expected[:, :3, :3], -1, -2)
    turns = rigid.log_rotation(sightings.boards[:, :3, :3] @ back)
    return np.concatenate([sightings.boards[:, :3, 3] - expected[:, :3, 3], turns], axis=1)


def require_known(estimate: HandEyeEstimate) -> None:
    """Raise UserError where views contradict each other, speak of another lens or board than was
    stated, or leave the camera's place open."""
    if estimate.joint_noise > WORST_JOINT_NOISE:
        raise UserError(
            f"the views contradict each other, as if every joint were off by "
            f"{1e3 * estimate.joint_noise:.0f} mrad in each: is the camera or the board loose, or "
            "are the arm's joints not those of the pictures? Take them anew, standing still"
        )
    require_as_stated(estimate.factors)
    std_m, std_rad = estimate.camera_std
    if std_m > WORST_STD_M or std_rad > WORST_STD_RAD:
        advice = "; ".join(estimate.spread.advice) or "come nearer, and turn the wrist further"
        raise UserError(
            f"the views leave the camera's place open by {1e3 * std_m:.1f} mm and "
            f"{np.degrees(std_rad):.2f} degrees (one standard deviation): {advice}"
        )
