"""LeaderMap: joint names and numbers of a leader's message to joint positions of the follower."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.teleop.device import LeaderDevice, LeaderJoint

# A leader may reach further than the follower. A whole range further is a number in another unit.
WRONG_UNIT = 1.0


class LeaderMap:
    """Arrays in the contract's order; joints that the device holds are NaN.

    Raises UserError where device and contract do not fit each other.
    """

    def __init__(self, device: LeaderDevice, contract: Contract):
        device.require_fits(contract)
        self._contract = contract
        self._joints = [device.joints.get(name) for name in contract.joint_names]
        self._names = [joint.leader for joint in self._joints if joint]

    def read(self, names: Sequence[str], positions: Sequence[float]) -> np.ndarray:
        """(Da,) [unit] of the joints that a message names, in any order and company.

        Raises UserError for a message without one of them, with one twice or with numbers that are
        not finite, or that must be in another unit.
        """
        if len(positions) != len(names):
            raise UserError(
                f"the leader's message has {len(names)} names and {len(positions)} positions: one "
                "is needed for each"
            )
        found = dict(zip(names, positions, strict=True))
        if missing := sorted(set(self._names) - found.keys()):
            raise UserError(
                f"the leader's message names {list(names)} and lacks {missing}: correct `leader` "
                "in the device file, or its driver"
            )
        if twice := [name for name in set(self._names) if list(names).count(name) > 1]:
            raise UserError(
                f"the leader's message names {sorted(twice)} more than once: mend its driver"
            )
        mapped = np.array(
            [_mapped(one, found[one.leader]) if one else np.nan for one in self._joints]
        )
        is_led = np.array([one is not None for one in self._joints])
        if not np.isfinite(mapped[is_led]).all():
            raise UserError("the leader's positions are not finite: correct its driver")
        beyond = self._contract.beyond(mapped[None], WRONG_UNIT)[0]
        if beyond.any():
            at = int(beyond.argmax())
            joint, led = self._contract.joints[at], self._joints[at]
            assert led is not None
            raise UserError(
                f"the leader's {led.leader} at {found[led.leader]:g} is {mapped[at]:.3g} "
                f"{joint.unit} of {joint.name}, far beyond {joint.lower:g} and {joint.upper:g}: is "
                f"it in degrees? Correct its driver, or scale and offset in the device file"
            )
        return mapped


def _mapped(joint: LeaderJoint, value: float) -> float:
    """A leader's joint as its follower's [unit]."""
    if joint.span is None or joint.means is None:
        return joint.sign * joint.scale * value + joint.offset
    (low, high), (first, last) = joint.span, joint.means
    share = min(1.0, max(0.0, (value - low) / (high - low))) if np.isfinite(value) else value
    return first + share * (last - first)
