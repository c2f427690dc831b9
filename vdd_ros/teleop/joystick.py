"""Joystick: axes and buttons of a Joy message to a reading."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.teleop.device import DIRECTIONS, JoyDevice, is_cartesian
from vdd_ros.teleop.reading import Reading
from vdd_ros.teleop.shaping import beyond_deadband


class Joystick:
    """Raises UserError where device and contract do not fit each other."""

    def __init__(self, device: JoyDevice, contract: Contract):
        self._device = device
        self.is_cartesian = is_cartesian(device, contract)
        names = DIRECTIONS if self.is_cartesian else contract.joint_names
        # (moves, wish) what each axis or button adds to each direction or joint
        self._rates = np.array(
            [[move.rate * (move.moves == name) for name in names] for move in device.motion]
        )

    def read(self, axes: Sequence[float], buttons: Sequence[int]) -> Reading:
        """Raises UserError for a message with another number of axes, with numbers that are not
        finite, or without the enable button."""
        device = self._device
        if len(axes) != device.n_axes:
            raise UserError(
                f"a message on {device.topic} has {len(axes)} axes, and {device.n_axes} are "
                "declared: is it another device, or another driver? Correct n_axes and the numbers "
                "of the device file"
            )
        if not np.isfinite(axes).all():
            raise UserError(f"a message on {device.topic} has axes that are not finite")
        enable = device.enable_button
        if enable is not None and enable >= len(buttons):
            raise UserError(
                f"a message on {device.topic} has {len(buttons)} buttons, and the enable button is "
                f"number {enable}, counted from 0: correct the device file"
            )
        shaped = beyond_deadband(np.asarray(axes, dtype=np.float64), device.deadband)
        moved = [
            shaped[move.axis] if move.axis is not None else is_held(buttons, move.button)
            for move in device.motion
        ]
        return Reading(
            wish=np.array(moved, dtype=np.float64) @ self._rates,
            wanted=None if enable is None else is_held(buttons, enable),
            grip=self._grip(buttons),
            let_go=is_held(buttons, device.let_go_button),
            in_tool=device.frame == "tool",
        )

    def _grip(self, buttons: Sequence[int]) -> float | None:
        if self._device.gripper is None:
            return None
        close, opens = (
            is_held(buttons, one) for one in (self._device.gripper.close, self._device.gripper.open)
        )
        return None if close == opens else float(opens)


def is_held(buttons: Sequence[int], button: int | None) -> bool:
    """Whether a button is pressed; one that a message does not tell is not, as SpaceMouse drivers
    tell a button only when it changes."""
    return button is not None and button < len(buttons) and bool(buttons[button])
