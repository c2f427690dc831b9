"""Students that are told more than their teacher, and begin as it."""

from __future__ import annotations

from vdd_ros.policies.denoiser import Denoiser
from vdd_ros.policies.nets import Told


def told(student: Denoiser, count: int = 1) -> Denoiser:
    """The student itself, whose observations end with `count` numbers more."""
    student.net = Told(student.net, count)
    return student
