"""Weights of views of which the arm's pose is not exact either.

A corner's noise is its own; a joint that is off moves all corners of a view together. With J_i the
motion of view i's corners with the joints, its residuals have the covariance I + s^2 J_i J_i^T in
units of the corners' noise. s is the one under which the residuals are most likely; who counts it
as nothing trusts views with many corners too much.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vdd_ros.calibration.board_views import BoardViews
from vdd_ros.calibration.hand_eye_problem import OF_POSES, Problem, Unknowns

TRIED = np.concatenate([[0.0], np.geomspace(1e-6, 0.1, 61)])  # [rad, m] of one joint
TURN_M = 0.5  # [m] arm's length, by which a rotation [rad] of the tool counts as a motion [m]


@dataclass(frozen=True)
class Whitening:
    """triangles: of each view (2m, 2m), whose inverse makes residuals independent, of variance 1;
    joint_noise: s, the standard deviation of one joint [rad, m], or of the tool along each axis
    where its poses were told as poses [m; TURN_M rad]."""

    views: BoardViews
    triangles: tuple[np.ndarray, ...]
    joint_noise: float

    def of(self, values: np.ndarray) -> np.ndarray:
        """(M, 2) or (M, 2, P) -> (2M,) or (2M, P)."""
        from scipy.linalg import solve_triangular

        flat = values.reshape(2 * len(values), -1)
        view = np.repeat(self.views.view, 2)
        found = np.empty_like(flat)
        for index, triangle in enumerate(self.triangles):
            here = view == index
            found[here] = solve_triangular(triangle, flat[here], lower=True, check_finite=False)
        return found.reshape(2 * len(values), *values.shape[2:])


def whitening_of(problem: Problem, noise: float) -> Whitening:
    """problem: at the least squares; noise: of corners [pixels]."""
    scale = max(noise, 1e-9)
    left = problem.residuals(np.zeros(problem.size)) / scale
    by_arm = _by_arm(problem) / scale
    views, blocks, projected, energies = problem.views, [], [], []
    for index in range(len(views)):
        here = views.view == index
        slope = by_arm[here].reshape(-1, by_arm.shape[-1])
        u, s, _ = np.linalg.svd(slope, full_matrices=False)
        blocks.append(slope)
        projected.append(u.T @ left[here].ravel())
        energies.append(s)
    p, s = np.concatenate(projected), np.concatenate(energies)
    grown = 1.0 + (TRIED[:, None] * s) ** 2
    likely = -0.5 * (np.log(grown) + p**2 / grown).sum(1)
    best = float(TRIED[int(np.argmax(likely))])
    triangles = tuple(
        np.linalg.cholesky(np.eye(len(one)) + best**2 * one @ one.T) for one in blocks
    )
    return Whitening(views, triangles, best)


def _by_arm(problem: Problem) -> np.ndarray:
    """(M, 2, n) motion of corners with each joint, or with the tool along and about its axes."""
    views, start = problem.views, problem.start
    if views.chain is not None and views.joints is not None:
        every = np.arange(views.joints.shape[1])
        whole = Problem(views, Unknowns(start.camera, start.target, start.offsets), every)
        return whole.jacobian(np.zeros(OF_POSES + len(every)))[..., OF_POSES:]
    found = problem.jacobian(np.zeros(problem.size))
    # the tool carries the camera, or the board: it moves with X or against Y
    part = slice(0, 6) if views.mounting == "eye_in_hand" else slice(6, 12)
    return found[..., part] * np.array([1.0, 1.0, 1.0, *(1.0 / TURN_M,) * 3])
