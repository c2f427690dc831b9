"""Cameras whose lens is estimated: from the very views of the hand-eye, and from as many others.

Who takes estimated intrinsics as exact states the camera's place several times better than it is
known; here the lens is an unknown beside it, held by what is known of it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vdd_ros.calibration import rigid
from vdd_ros.calibration.board import Corners
from vdd_ros.calibration.board_views import BoardViews
from vdd_ros.calibration.hand_eye import hand_eye_of
from vdd_ros.calibration.hand_eye_estimate import HandEyeEstimate
from vdd_ros.calibration.intrinsics import intrinsics_of
from vdd_ros.calibration.lens_prior import LensPrior
from vdd_ros.calibration.planted import Setup
from vdd_ros.errors import UserError

KINDS = ("same views", "other views")


class LensTrial:
    """Adds up setups; noise_px, joint_noise: as planted."""

    def __init__(self, noise_px: float, joint_noise: float):
        self._noises = noise_px, joint_noise
        self._away: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
        self._squared: dict[str, list[float]] = {kind: [] for kind in KINDS}
        self._refused = 0

    def take(self, setup: Setup, rng: np.random.Generator) -> None:
        """One setup; of views that say too little of a lens none is estimated."""
        views, others = (setup.seen(rng, *self._noises) for _ in range(2))
        for kind, source in zip(KINDS, (views, others), strict=True):
            try:
                lens = intrinsics_of(corners_of(source), setup.lens.width, setup.lens.height)
            except UserError:
                self._refused += 1
                continue
            prior = LensPrior(lens.lens, lens.covariance, source is others)
            found = hand_eye_of(replace(views, lens=lens.lens), (), prior)
            moved = found.unknowns.camera[:3, 3] - setup.camera[:3, 3]
            turned = rigid.angle_between(found.unknowns.camera, setup.camera)
            self._away[kind].append((1e3 * float(np.linalg.norm(moved)), float(np.degrees(turned))))
            self._squared[kind].append(normalised(found, setup))

    def result(self) -> dict:
        """By kind: median and p95 of place [mm], median of rotation [degrees], normalised_error;
        and how many intrinsics were refused."""
        return {"refused": self._refused} | {
            kind: {
                "setups": len(away),
                "median_mm": float(np.median(np.array(away)[:, 0])),
                "p95_mm": float(np.percentile(np.array(away)[:, 0], 95)),
                "median_deg": float(np.median(np.array(away)[:, 1])),
                "normalised_error": float(np.mean(self._squared[kind])),
            }
            for kind, away in self._away.items()
            if away
        }


def corners_of(views: BoardViews) -> list[Corners]:
    """Of each view, as a board is found in a picture."""
    ids = np.arange(len(views.view))
    return [
        Corners(ids[: int(here.sum())], views.points[here], views.pixels[here])
        for here in (views.view == index for index in range(len(views)))
    ]


def normalised(found: HandEyeEstimate, setup: Setup) -> float:
    """Squared error of the camera in units of its stated covariance, over its six numbers: 1 where
    the covariance is right."""
    turned = found.unknowns.camera[:3, :3] @ setup.camera[:3, :3].T
    moved = found.unknowns.camera[:3, 3] - setup.camera[:3, 3]
    error = np.concatenate([moved, rigid.log_rotation(turned)])
    return float(error @ np.linalg.solve(found.covariance[:6, :6], error)) / 6.0
