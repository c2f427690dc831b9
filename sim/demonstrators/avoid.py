"""A scripted person who leads the rod through the field of the avoid task."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.integrate import cumulative_trapezoid
from scipy.interpolate import CubicSpline

from vdd_ros.sim.avoid_field import FIELD
from vdd_ros.sim.demonstrators.operator import FOLLOW_ERROR, Seen, swaying
from vdd_ros.sim.demonstrators.panda_arm import PandaArm
from vdd_ros.sim.demonstrators.route import draw_route

MEAN_SPEED = 0.28  # [m/s] of the rod where the line is straight
SPEED_SPREAD = 0.25  # std of log speed between episodes
SPEED_CUT = 1.5  # no episode is more of those stds away from the mean
SPEED_WANDER = 0.10  # relative std of the slow speed changes within one episode
CURVE_RADIUS = 0.08  # [m] curves tighter than about this are taken visibly slower
RAMP_S = 0.30  # from standstill to full speed, and back
HOLD_S = 0.8  # stands still beyond the finish line before letting go

MAX_VELOCITY = 0.6 * np.array([2.175, 2.175, 2.175, 2.175, 2.61, 2.61, 2.61])  # [rad/s]
MAX_ACCELERATION = 0.6 * np.full(7, 10.0)  # [rad/s^2]
CHECK_STEP_S = 0.005


@dataclass(frozen=True)
class Motion:
    """Joint positions over time: a line in joint space and how fast it is travelled."""

    line: CubicSpline  # arc length of the rod [m] -> joints (7,) [rad]
    cruise: CubicSpline  # time at full speed [s] -> arc length [m]
    ramp_s: float
    duration_s: float

    def at(self, time_s: np.ndarray | float) -> np.ndarray:
        """Joints (..., 7) [rad] at `time_s` since the start; standing still outside the motion."""
        t = np.clip(time_s, 0.0, self.duration_s)
        ramp = self.ramp_s
        begin, end = np.minimum(t / ramp, 1.0), np.minimum((self.duration_s - t) / ramp, 1.0)
        # The speed factor is a smoothstep at both ends; this is its integral over time.
        clock = t - ramp / 2 + ramp * (_lost(begin) - _lost(end))
        return self.line(self.cruise(clock))


def _lost(x: np.ndarray) -> np.ndarray:
    """Part of half a ramp not yet made up after fraction `x` of it: 1/2 at 0, 0 at 1."""
    return 0.5 - x + x**3 - x**4 / 2


class AvoidOperator:
    """Sees joint positions, sends the joint positions of a leader arm.

    Stands in for a person in what matters to a policy: it aims at different points of the same
    gap, heads through it at different angles, is fast one time and slow the next, slows down in
    curves, wanders in speed, and keeps its distance from the cylinders. Its hand sways: every
    joint strays a little from the line and is brought back, which shows a policy how to come back
    to the line in all seven joints. It plans the line before it starts and follows it without
    looking again; it lets go if the arm does not follow. It does not model hesitation, corrections
    of larger mistakes, or a change of mind on the way.
    """

    def __init__(self, rng: np.random.Generator):
        self._rng = rng
        self._arm = PandaArm("RodGripper")
        self._motion: Motion | None = None
        self._sway: CubicSpline | None = None

    def begin(self, seen: Seen, mode: int) -> None:
        """Make up one's mind: cross along way `mode` (0..23)."""
        self._motion = self.plan(seen.joints, mode)
        self._sway = swaying(self._rng, self._motion.duration_s, len(seen.joints))

    def plan(self, q: np.ndarray, way: int) -> Motion:
        """A crossing along `way` (0..23) from joints `q` (7,) [rad], new at every call.

        Raises RuntimeError if there is no clear or no reachable line from there.
        """
        tip = self._arm.tip(q)
        route = draw_route(self._rng, tip[:2], way)
        # The rod's height is a person's to keep: it eases from where it stands to the usual one.
        ease = np.linspace(0.0, 1.0, len(route))
        height = FIELD.rod_height + (tip[2] - FIELD.rod_height) * (1 - ease)
        joints = self._arm.follow(np.column_stack([route, height]), q)
        length = np.linalg.norm(route[-1] - route[-2]) * np.arange(len(route))
        return _slowed_to_limits(_timed(self._rng, route, length, joints))

    def command(self, elapsed_s: float, seen: Seen) -> np.ndarray | None:
        """Leader joints (7,) [rad] at `elapsed_s` since `begin`; None when done or given up."""
        if self._motion is None or self._sway is None:
            raise RuntimeError("begin() has not been called")
        during = min(max(elapsed_s, 0.0), self._motion.duration_s)
        target = self._motion.at(during) + self._sway(during)
        given_up = np.abs(target - seen.joints).max() > FOLLOW_ERROR
        if given_up or elapsed_s > self._motion.duration_s + HOLD_S:
            return None
        return target


def _timed(rng, route: np.ndarray, length: np.ndarray, joints: np.ndarray) -> Motion:
    """Give the line a speed: this person's today, slower in curves, wandering a little."""
    today = np.exp(SPEED_SPREAD * np.clip(rng.standard_normal(), -SPEED_CUT, SPEED_CUT))
    anchors = np.linspace(0.0, length[-1], 6)
    wander = CubicSpline(anchors, SPEED_WANDER * np.clip(rng.standard_normal(6), -2.0, 2.0))
    heading = np.unwrap(np.arctan2(*np.gradient(route, axis=0).T[::-1]))
    curvature = np.abs(np.gradient(heading, length))
    # Exponent of the two-thirds power law of human drawing (Lacquaniti et al., 1983).
    speed = MEAN_SPEED * today * (1 + wander(length)) * (1 + CURVE_RADIUS * curvature) ** (-1 / 3)
    clock = cumulative_trapezoid(1 / speed, length, initial=0.0)
    return Motion(
        CubicSpline(length, joints), CubicSpline(clock, length), RAMP_S, clock[-1] + RAMP_S
    )


def _slowed_to_limits(motion: Motion) -> Motion:
    """The same motion, stretched in time until joint velocity and acceleration keep the limits."""
    time = np.arange(0.0, motion.duration_s, CHECK_STEP_S)
    velocity = np.gradient(motion.at(time), CHECK_STEP_S, axis=0)
    acceleration = np.gradient(velocity, CHECK_STEP_S, axis=0)
    stretch = max(
        1.0,
        1.01 * np.abs(velocity / MAX_VELOCITY).max(),
        1.01 * np.sqrt(np.abs(acceleration / MAX_ACCELERATION).max()),
    )
    cruise = CubicSpline(motion.cruise.x * stretch, motion.cruise(motion.cruise.x))
    return Motion(motion.line, cruise, motion.ramp_s * stretch, motion.duration_s * stretch)
