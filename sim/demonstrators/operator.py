"""What a scripted operator sees, and what is asked of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d

if TYPE_CHECKING:
    from vdd_ros.sim.env import RobosuiteEnv

FOLLOW_ERROR = 0.4  # [rad] behind the leader: the arm does not follow, the person lets go
SWAY = 0.002  # [rad] std of every leader joint about its line: no hand is still
SWAY_S = 0.20  # [s] over which the hand strays and comes back
SWAY_KNOT_S = 0.02
SWAY_EASE_S = 0.30  # from and to a still hand


class Pose(NamedTuple):
    """position: (3,) [m, base frame]; yaw: angle about z [rad]."""

    position: np.ndarray
    yaw: float


class Seen(NamedTuple):
    """joints: (J,) [rad, fraction] as the encoders show them; things: what lies about, by name."""

    joints: np.ndarray
    things: dict[str, Pose]


class Operator(Protocol):
    """A person at a leader arm, in what matters to a policy."""

    def begin(self, seen: Seen, mode: int) -> None:
        """Make up one's mind: do it in that one of the task's declared modes.

        Raises RuntimeError where this hand finds no way to do it.
        """
        ...

    def command(self, elapsed_s: float, seen: Seen) -> np.ndarray | None:
        """Leader joints (J,) [rad, fraction] at `elapsed_s` since `begin`; None when done or given
        up."""
        ...


def seen_of(joints: np.ndarray, names: tuple[str, ...], poses: np.ndarray) -> Seen:
    """joints: (J,); poses: (objects, 7) position [m] and quaternion x, y, z, w, of these names."""
    return Seen(
        joints,
        {
            name: Pose(row[:3], math.atan2(2 * (row[3] * row[4] + row[5] * row[6]),
                                           1 - 2 * (row[4] ** 2 + row[5] ** 2)))
            for name, row in zip(names, poses, strict=True)
        },
    )  # fmt: skip


def seen_in(env: RobosuiteEnv) -> Seen:
    """What is to be seen in a simulation now."""
    return seen_of(env.observe().position, env.task.objects, env.poses())


def swaying(
    rng: np.random.Generator, duration_s: float, joints: int, std: float = SWAY
) -> CubicSpline:
    """Time [s] -> how far the hand is off its line (joints,) [rad], by `std`; still at both
    ends."""
    count = max(4, int(np.ceil(duration_s / SWAY_KNOT_S)) + 1)
    time = np.linspace(0.0, duration_s, count)
    smooth = gaussian_filter1d(
        rng.standard_normal((count, joints)), SWAY_S / SWAY_KNOT_S / np.sqrt(2), axis=0
    )
    spread = np.sqrt(SWAY_KNOT_S / (SWAY_S * np.sqrt(2 * np.pi)))  # std of the smoothed noise
    edge = np.clip(np.minimum(time, duration_s - time) / SWAY_EASE_S, 0.0, 1.0)
    envelope = edge**2 * (3 - 2 * edge)
    return CubicSpline(time, std / spread * envelope[:, None] * smooth, bc_type="clamped")
