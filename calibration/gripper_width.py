"""How wide a gripper is, by what somebody measured with a calliper."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vdd_ros.calibration.gripper import Calibrated
from vdd_ros.errors import UserError


def width_of(pairs: Sequence[tuple[float, float]]) -> tuple[float, float, float]:
    """Of widths that somebody measured, (command, width [m]): width at command 0 [m], width per
    command [m], and the largest distance from that line [m]. Raises UserError."""
    if len({command for command, _ in pairs}) < 2:
        raise UserError("a width at two different commands is needed: measure it open and closed")
    command, width = np.array(pairs).T
    if not np.isfinite(pairs).all():
        raise UserError("commands and widths are numbers: write command:metres, such as 1:.0795")
    if width.min() < 0.0 or width.max() > 1.0:
        raise UserError(
            f"widths are from {width.min():g} to {width.max():g} m: write metres, .08 for 80 mm"
        )
    slope, at_zero = np.polyfit(command, width, 1)
    return float(at_zero), float(slope), float(np.abs(at_zero + slope * command - width).max())


def require_same_way(found: Calibrated, per_command_m: float) -> None:
    """Raise UserError where widths that somebody measured grow the other way than it opens."""
    if per_command_m * found.opens <= 0.0:
        raise UserError(
            f"by the widths {found.joint.name} opens with {_which(per_command_m)} commands, by "
            f"what was measured with {_which(found.opens)} ones: swap the widths, or write (leave "
            "out) --larger-is-closed"
        )


def _which(sign: float) -> str:
    return "larger" if sign > 0 else "smaller" if sign < 0 else "no"
