"""What is left after an estimate, in the few numbers that a calibration file keeps of it."""

from __future__ import annotations

from typing import Literal

import numpy as np

from vdd_ros.calibration_parts import Residuals

Unit = Literal["px", "m", "rad", "s", "fraction"]


def residuals_of(
    unit: Unit,
    residuals: np.ndarray,
    cross_validated: float | None = None,
    left_out_by_one: bool = False,
) -> Residuals:
    """residuals: of any shape [unit]. left_out_by_one: they are of a mean, of which a pose that is
    left out of it is further away by N / (N - 1)."""
    size = np.abs(residuals).ravel()
    rms = float(np.sqrt((size**2).mean()))
    if left_out_by_one and len(size) > 1:
        cross_validated = rms * len(size) / (len(size) - 1)
    return Residuals(
        unit=unit,
        rms=rms,
        median=float(np.median(size)),
        p95=float(np.percentile(size, 95)),
        worst=float(size.max()),
        cross_validated=cross_validated,
    )


def inverse_of(information: np.ndarray) -> np.ndarray:
    """Of a symmetric matrix whose unknowns differ by orders, as metres, radians and pixels do."""
    scale = 1.0 / np.sqrt(np.diag(information))
    return np.linalg.inv(information * np.outer(scale, scale)) * np.outer(scale, scale)
