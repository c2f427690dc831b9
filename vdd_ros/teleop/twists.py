"""Twists: what a TwistStamped says, to a reading."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.teleop.device import TwistDevice
from vdd_ros.teleop.reading import Reading
from vdd_ros.teleop.shaping import slowed


class Twists:
    """Twists in the contract's base or tool frame."""

    is_cartesian = True

    def __init__(self, device: TwistDevice, contract: Contract):
        self._device = device
        self._frames = contract.frames

    def read(self, frame: str, linear: Sequence[float], angular: Sequence[float]) -> Reading:
        """Of the tool's origin, [m/s] and [rad/s]; raises UserError for another frame, or numbers
        that are not finite."""
        base, tool = self._frames.base, self._frames.tool
        if frame not in (base, tool):
            raise UserError(
                f"a twist on {self._device.topic} is in frame {frame!r}; tell it in {base} or "
                f"{tool}"
            )
        twist = np.array([*linear, *angular], dtype=np.float64)
        if not np.isfinite(twist).all():
            raise UserError(f"a twist on {self._device.topic} is not finite")
        largest = self._device.largest
        return Reading(
            slowed(twist, largest.linear, largest.angular), in_tool=frame == tool != base
        )
