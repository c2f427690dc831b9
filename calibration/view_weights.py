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
from vdd_ros.calibration.hand_eye_problem import OF_POSES, Problem

TRIED = np.concatenate([[0.0], np.geomspace(1e-6, 0.1, 61)])  # [rad, m] of one joint
TURN_M = 0.5  # [m] arm's length, by which a rotation [rad] of the tool counts as a motion [m]


@dataclass(frozen=True)
class Whitening:
    """blocks: of each view (2m, n) the motion of its corners with the joints, in units of their
    noise; triangles: (2m, 2m), whose inverse makes residuals independent, of variance 1;
    joint_noise: s, the standard deviation of one joint [rad, m], or of the tool along each axis
    where its poses were told as poses [m; TURN_M rad]."""

    views: BoardViews
    blocks: tuple[np.ndarray, ...]
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

    def deviations(self, left: np.ndarray) -> np.ndarray:
        """(N, n) by how much each joint was off in each view, most likely [rad, m], for residuals
        (M, 2) in units of the corners' noise."""
        from scipy.linalg import cho_solve

        found = [
            self.joint_noise**2
            * block.T
            @ cho_solve((triangle, True), -left[self.views.view == index].ravel())
            for index, (block, triangle) in enumerate(zip(self.blocks, self.triangles, strict=True))
        ]
        return np.stack(found)


def whitening_of(problem: Problem, noise: float) -> Whitening:
    """problem: at the least squares; noise: of corners [pixels]."""
    nothing = np.zeros(problem.size)
    left = problem.residuals(nothing).ravel() / noise
    slopes = problem.jacobian(nothing).reshape(len(left), -1) / noise
    view = np.repeat(problem.views.view, 2)
    places = [np.flatnonzero(view == index) for index in range(len(problem.views))]
    # what is known of the lens before is as good as rows that no joint moves
    left = np.concatenate([left, problem.held(nothing)])
    slopes = np.concatenate([slopes, problem.held_slopes()])
    best = _likeliest(left, slopes, _blocks(problem, noise), places)
    return whitened_by(problem, noise, best)


def whitened_by(problem: Problem, noise: float, joint_noise: float) -> Whitening:
    """With noises of corners [pixels] and of joints [rad, m] that are known."""
    blocks = _blocks(problem, noise)
    triangles = [np.linalg.cholesky(np.eye(len(b)) + joint_noise**2 * b @ b.T) for b in blocks]
    return Whitening(problem.views, tuple(blocks), tuple(triangles), joint_noise)


def _blocks(problem: Problem, noise: float) -> list[np.ndarray]:
    """(2m, n) of each view."""
    by_arm = _by_arm(problem) / noise
    flat = by_arm.reshape(-1, by_arm.shape[-1])
    view = np.repeat(problem.views.view, 2)
    return [flat[view == index] for index in range(len(problem.views))]


def _likeliest(
    left: np.ndarray, slopes: np.ndarray, blocks: list[np.ndarray], places: list[np.ndarray]
) -> float:
    """Of TRIED by restricted maximum likelihood (Patterson and Thompson 1971), which knows that the
    unknowns were fitted and residuals (2M,) are smaller by that.

    slopes: (2M, P) by the unknowns; blocks: (2m, n) by the joints, of each view at its places.
    """
    values, turned, tilted = [], [], []
    for block, here in zip(blocks, places, strict=True):
        u, s, _ = np.linalg.svd(block, full_matrices=False)
        values.append(s)
        turned.append(u.T @ left[here])
        tilted.append(u.T @ slopes[here])
    s, p, a = np.concatenate(values), np.concatenate(turned), np.concatenate(tilted)
    scaled = 1.0 / np.linalg.norm(slopes, axis=0)  # metres and radians differ by orders
    a, whole, pull = a * scaled, (slopes * scaled).T @ (slopes * scaled), left @ (slopes * scaled)
    likely = []
    for tried in TRIED:
        grown = (tried * s) ** 2
        less = grown / (1.0 + grown)  # of V^-1 = I - U diag(less) U^T
        information = whole - a.T @ (less[:, None] * a)
        rest = pull - a.T @ (less * p)
        squared = -(less * p) @ p - rest @ np.linalg.solve(information, rest)
        volume = np.log1p(grown).sum() + np.linalg.slogdet(information)[1]
        likely.append(-0.5 * (volume + squared))
    return float(TRIED[int(np.argmax(likely))])


def _by_arm(problem: Problem) -> np.ndarray:
    """(M, 2, n) motion of corners with each joint, or with the tool along and about its axes."""
    views, start = problem.views, problem.start
    if views.chain is not None and views.joints is not None:
        every = np.arange(views.joints.shape[1])
        whole = Problem(views, start, every)
        return whole.jacobian(np.zeros(OF_POSES + len(every)))[..., OF_POSES:]
    found = problem.jacobian(np.zeros(problem.size))
    # the tool carries the camera, or the board: it moves with X or against Y
    part = slice(0, 6) if views.mounting == "eye_in_hand" else slice(6, 12)
    return found[..., part] * np.array([1.0, 1.0, 1.0, *(1.0 / TURN_M,) * 3])
