"""How far ahead of now a plan is read, so that an arm that takes longer to follow is in time.

A policy plans the commands that its demonstrations' robot was given, and that robot took a while to
follow. Where the robot at hand takes longer, each of its joints is sent what the plan has for so
much later. What both need in common is in the demonstrations already.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.errors import UserError


class Ahead(NamedTuple):
    """shifts_ns: (S,) distinct; joints: for each the indices of its joints."""

    shifts_ns: tuple[int, ...]
    joints: tuple[np.ndarray, ...]

    @property
    def most_ns(self) -> int:
        """Of any joint."""
        return max(self.shifts_ns)

    def require_shorter_than(self, plan_ns: int) -> None:
        """Raise UserError where a plan does not reach so far."""
        if self.most_ns >= plan_ns:
            raise UserError(
                f"an arm that follows {self.most_ns * 1e-9:.3f} s later than that of the "
                f"demonstrations cannot be driven by plans of {plan_ns * 1e-9:.3f} s: make it "
                "faster, or train with a longer horizon"
            )


def ahead_of(robot: Contract, taught: Contract) -> Ahead | None:
    """By how much later the robot at hand follows than that of the demonstrations, whose contract
    is `taught`; None where that is nowhere, or not known of both."""
    if robot.latency is None or taught.latency is None:
        return None
    here, there = robot.latency.command_s, taught.latency.command_s
    later_ns = np.array(
        [
            max(0, round((here[name] - there[name]) * 1e9)) if name in here and name in there else 0
            for name in robot.joint_names
        ]
    )
    shifts_ns = np.unique(later_ns)
    if not shifts_ns.any():
        return None
    return Ahead(
        tuple(shifts_ns.tolist()), tuple(np.flatnonzero(later_ns == one) for one in shifts_ns)
    )
