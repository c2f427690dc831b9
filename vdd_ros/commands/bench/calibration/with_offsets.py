"""Cameras of an arm whose encoders are off: without knowing of it, and with offsets estimated too.

No unbiased estimate of an offset has a smaller variance than the inverse of the information in all
corners says, with the noise of corners and encoders as it is (Cramér and Rao).
"""

from __future__ import annotations

import numpy as np

from vdd_ros.calibration.hand_eye import hand_eye_of
from vdd_ros.calibration.hand_eye_problem import OF_POSES, Problem, Unknowns
from vdd_ros.calibration.planted import Setup
from vdd_ros.calibration.summary import inverse_of
from vdd_ros.calibration.view_weights import whitened_by
from vdd_ros.errors import UserError

OFFSET_RAD = 0.01  # standard deviation of the planted offsets
JOINTS = (1, 2, 3, 4, 5)  # all but the first and the last, which cannot be told


class OffsetTrial:
    """Adds up setups; noise_px, joint_noise: as planted."""

    def __init__(self, noise_px: float, joint_noise: float):
        self._noises = noise_px, joint_noise
        self._squared: list[np.ndarray] = []
        self._without: list[float] = []
        self._with: list[float] = []

    def take(self, setup: Setup, rng: np.random.Generator) -> None:
        """One setup, with offsets of its own."""
        offsets = np.zeros(setup.joints.shape[1])
        offsets[list(JOINTS)] = OFFSET_RAD * rng.standard_normal(len(JOINTS))
        views = setup.seen(rng, *self._noises, offsets)
        found = hand_eye_of(views, JOINTS)
        truth = Unknowns(setup.camera, setup.target, offsets)
        least = np.diag(self._bound(Problem(views, truth, np.array(JOINTS))))[OF_POSES:]
        error = (found.unknowns.offsets - offsets)[list(JOINTS)]
        self._squared.append(error**2 / least)
        self._with.append(_away_mm(found.unknowns.camera, setup))
        try:
            self._without.append(_away_mm(hand_eye_of(views).unknowns.camera, setup))
        except UserError:  # what does not fit together is refused
            self._without.append(np.inf)

    def result(self) -> dict:
        """over_cramer_rao: root mean square error of offsets over the bound; medians [mm] of the
        camera's place, of which those that were refused count as infinite."""
        return {
            "offset_std_rad": OFFSET_RAD,
            "joints": len(JOINTS),
            "over_cramer_rao": float(np.sqrt(np.mean(self._squared))),
            "median_mm": float(np.median(self._with)),
            "median_mm_without": float(np.median(self._without)),
            "refused_without": int(np.isinf(self._without).sum()),
        }

    def _bound(self, problem: Problem) -> np.ndarray:
        """(12 + k, 12 + k) no unbiased estimate has a smaller covariance."""
        noise_px, joint_noise = self._noises
        whitening = whitened_by(problem, noise_px, joint_noise)
        flat = whitening.of(problem.jacobian(np.zeros(problem.size)) / noise_px)
        return inverse_of(flat.T @ flat)


def _away_mm(camera: np.ndarray, setup: Setup) -> float:
    return 1e3 * float(np.linalg.norm(camera[:3, 3] - setup.camera[:3, 3]))
