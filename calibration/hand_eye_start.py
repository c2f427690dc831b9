"""Where the refinement of hand-eye begins: OpenCV's five solvers, on all views and on small groups.

On all views they are as good as they get; on groups of four some see no wrong view, also where a
third of all are wrong (Fischler and Bolles 1981).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from vdd_ros.calibration import rigid
from vdd_ros.calibration.board import opencv

SOLVERS = ("TSAI", "PARK", "HORAUD", "ANDREFF", "DANIILIDIS")
GROUPS, GROUP = 60, 4  # one is without a wrong view, but once in 10 million, where 30 % are wrong


class Start(NamedTuple):
    """X and Y, (4, 4) each, and how well they go with the views: the median distance of a board's
    corners from where the other views have them [m]."""

    camera: np.ndarray
    target: np.ndarray
    misfit_m: float


def start_of(
    carried: np.ndarray, boards: np.ndarray, radius_m: float, rng: np.random.Generator
) -> Start | None:
    """The best of all; None where no solver finds anything.

    carried: (N, 4, 4) B_i; boards: (N, 4, 4) T_cam_board; radius_m: of the board.
    """
    best = None
    for camera in _candidates(carried, boards, rng):
        found = judged(camera, carried, boards, radius_m)
        if best is None or found.misfit_m < best.misfit_m:
            best = found
    return best


def judged(camera: np.ndarray, carried: np.ndarray, boards: np.ndarray, radius_m: float) -> Start:
    """X with the target of that view which goes best with the others."""
    targets = rigid.inverse(carried) @ camera @ boards
    moves = rigid.distance_between(targets[:, None], targets[None])
    turns = rigid.angle_between(targets[:, None], targets[None])
    apart = np.median(np.hypot(moves, radius_m * turns), axis=1)
    return Start(camera, targets[int(np.argmin(apart))], float(apart.min()))


def solved(carried: np.ndarray, boards: np.ndarray, solver: str) -> np.ndarray | None:
    """X by one of OpenCV's solvers; None where it fails, as some do for few views."""
    cv2 = opencv()
    arm = rigid.inverse(carried)
    try:
        turn, move = cv2.calibrateHandEye(
            list(arm[:, :3, :3]),
            list(arm[:, :3, 3]),
            list(boards[:, :3, :3]),
            list(boards[:, :3, 3]),
            method=getattr(cv2, f"CALIB_HAND_EYE_{solver}"),
        )
    except cv2.error:
        return None
    if not (np.isfinite(turn).all() and np.isfinite(move).all()):
        return None
    u, _, vt = np.linalg.svd(turn)  # some give matrices that are not quite rotations
    turn = u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt
    return rigid.pose(turn, move.ravel())


def _candidates(
    carried: np.ndarray, boards: np.ndarray, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    for solver in SOLVERS:
        camera = solved(carried, boards, solver)
        if camera is not None:
            yield camera
    for _ in range(GROUPS):
        group = rng.choice(len(boards), GROUP, replace=False)
        camera = solved(carried[group], boards[group], "PARK")
        if camera is not None:
            yield camera
