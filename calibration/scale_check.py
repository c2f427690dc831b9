"""Whether the board's stated size and the lens's focal length are those that the data speak of.

Both are facts that hand-eye is told and that are easily wrong: a print that was fitted to the page,
intrinsics of another resolution. One Newton step from the estimate, with a factor on each as two
more unknowns, says what they should be, and tells the two apart: the arm's motion is the measure.
Where the lens is estimated along with the rest, its focal length beside the stated one says it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vdd_ros.calibration import rigid
from vdd_ros.calibration.hand_eye_problem import Problem
from vdd_ros.calibration.view_weights import Whitening
from vdd_ros.errors import UserError

WITHIN, SIGMAS = 0.01, 5.0


class Factors(NamedTuple):
    """By how much longer the focal length, and larger the board, should be; and the standard
    deviation of each, of a focal length that is estimated that of the one stated."""

    focal: float
    focal_std: float
    size: float
    size_std: float


def factors_of(problem: Problem, whitening: Whitening, noise: float) -> Factors:
    """problem: at the least squares; noise: of corners [pixels]."""
    now, views, nothing = problem.start, problem.views, np.zeros(problem.size)
    lens = now.lens or views.lens
    boards = rigid.inverse(now.camera) @ views.carried(now.offsets) @ now.target
    turned = boards[views.view][:, :3, :3]
    grown = (turned @ views.points[..., None])[..., 0]
    pixels, by_point = lens.pixels_and_slopes(grown + boards[views.view][:, :3, 3])
    more = [(by_point @ grown[..., None])[..., 0]]
    if problem.prior is None:
        more.append(pixels - lens.matrix[:2, 2])
    slopes = np.concatenate([problem.jacobian(nothing), np.stack(more, axis=-1)], axis=-1)
    held = np.pad(problem.held_slopes(), [(0, 0), (0, len(more))])
    flat = np.concatenate([whitening.of(slopes / noise), held])
    left = whitening.of(problem.residuals(nothing) / noise)
    left = np.concatenate([left, problem.held(nothing)])
    lengths = np.linalg.norm(flat, axis=0)  # metres, radians and factors differ by orders
    inverse = np.linalg.pinv((flat / lengths).T @ (flat / lengths))
    step = -inverse @ ((flat / lengths).T @ left) / lengths
    std = np.sqrt(np.diag(inverse)) / lengths
    at = problem.size
    if problem.prior is None:
        focal, focal_std = 1.0 + step[at + 1], std[at + 1]
    else:  # what was stated is known no better than the estimate, and what they differ by neither
        focal, focal_std = lens.focal / problem.prior.lens.focal, problem.prior.focal_std
    return Factors(float(focal), float(focal_std), 1.0 + float(step[at]), float(std[at]))


def require_as_stated(factors: Factors) -> None:
    """Raise UserError where focal length or board are of another size than stated, by more than
    chance."""
    off = {
        "focal": (abs(factors.focal - 1.0), factors.focal_std),
        "size": (abs(factors.size - 1.0), factors.size_std),
    }
    wrong = {what: by for what, (by, std) in off.items() if by > max(WITHIN, SIGMAS * std)}
    if not wrong:
        return
    if max(wrong, key=lambda what: wrong[what]) == "size":
        raise UserError(
            f"the arm's motion says that the board is {factors.size:.4g} times as large as stated: "
            "measure a square and correct square_m; where it is right, joints are off, and their "
            "offsets are to be estimated along with the camera"
        )
    raise UserError(
        f"the views say that the focal length is {factors.focal:.4g} times as long as stated: "
        "calibrate intrinsics anew, with pictures of this size and focus"
    )
