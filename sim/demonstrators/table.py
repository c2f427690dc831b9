"""TableOperator: a scripted person who moves a tool about a table, looking at what lies there.

What it does is a script: a generator that says, tick by tick, where the tool should be next, and
sees how things stand. The hand gets there as hands do: no faster than it likes today, without a
jump in speed, swaying a little.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from vdd_ros.sim.demonstrators.operator import FOLLOW_ERROR, Pose, Seen, swaying
from vdd_ros.sim.demonstrators.panda_arm import PandaArm

SPEED = 0.25  # [m/s] of a hand that has nothing to be careful about
ACCELERATION = 1.0  # [m/s^2]
TURN_RATE, TURN_ACCELERATION = 1.2, 4.0  # [rad/s, rad/s^2]
OPENING_RATE, OPENING_ACCELERATION = 4.0, 60.0  # of the fingers [1/s, 1/s^2]
SETTLE_S = 0.05  # in which the hand's turn and the fingers come to rest
SWAY = 0.006  # [rad] so much that a policy sees how to come back to the line
PACE_SPREAD, PACE_CUT = 0.2, 1.5  # std of log speed between episodes, and where it is cut
LINGER_S = 0.8  # the hand stays when all is done
LONGEST_S = 60.0


class Aim(NamedTuple):
    """Where the tool should be: its tip (3,) [m], yaw [rad], opening (a fraction, of a hand), and
    how fast it may go there [m/s]."""

    point: np.ndarray
    yaw: float = 0.0
    opening: float = 1.0
    speed: float = SPEED


Script = Iterator[Aim]


class TableOperator(ABC):
    """A subclass gives `gripper` and `script`; sway: std of every joint about its line [rad]."""

    gripper = "RodGripper"
    sway = SWAY

    def __init__(self, rng: np.random.Generator):
        self.rng = rng
        self.arm = PandaArm(self.gripper)
        self._script: Script | None = None

    @abstractmethod
    def script(self, mode: int) -> Script:
        """The whole of it, in a mode; asked for the next aim once a control tick."""

    def begin(self, seen: Seen, mode: int) -> None:
        """Make up one's mind, as `Operator.begin`."""
        self.seen = seen
        pace = np.clip(self.rng.standard_normal(), -PACE_CUT, PACE_CUT)
        self.pace = math.exp(PACE_SPREAD * pace)
        self.tip = self.arm.tip(seen.joints[:7])  # where the leader's tool is
        self.yaw = self.arm.yaw()
        self._velocity = np.zeros(3)
        self._time_s = 0.0
        self._done_s: float | None = None
        self._sway = swaying(self.rng, LONGEST_S, 7, self.sway)
        self.opening = float(seen.joints[7]) if len(seen.joints) > 7 else 1.0
        self._turning = self._opening = 0.0  # their rates
        self._last = Aim(self.tip, self.yaw, self.opening)
        self._script = self.script(mode)

    def command(self, elapsed_s: float, seen: Seen) -> np.ndarray | None:
        """The leader's joints, as `Operator.command`."""
        if self._script is None:
            raise RuntimeError("begin() has not been called")
        self.seen = seen
        duration_s, self._time_s = elapsed_s - self._time_s, elapsed_s
        aim = next(self._script, None) if self._done_s is None else None
        if aim is None:
            self._done_s = elapsed_s if self._done_s is None else self._done_s
            aim = self._last._replace(point=self.tip, yaw=self.yaw)
        self._last = aim
        self._move(aim, duration_s)
        arm = self.arm.approach(self.tip, self.yaw) + self._sway(min(elapsed_s, LONGEST_S))
        given_up = np.abs(arm - seen.joints[:7]).max() > FOLLOW_ERROR
        if given_up or elapsed_s > LONGEST_S or self._over(elapsed_s):
            return None
        return arm if len(seen.joints) == 7 else np.append(arm, self.opening)

    def _over(self, elapsed_s: float) -> bool:
        return self._done_s is not None and elapsed_s - self._done_s >= LINGER_S

    def _move(self, aim: Aim, duration_s: float) -> None:
        """Bring the leader nearer to its aim: as fast as it may, able to stop there."""
        way = aim.point - self.tip
        distance = float(np.linalg.norm(way))
        speed = min(aim.speed * self.pace, math.sqrt(2.0 * ACCELERATION * distance))
        wanted = way / distance * speed if distance > 1e-9 else np.zeros(3)
        change = wanted - self._velocity
        most = 2.0 * ACCELERATION * duration_s  # braking must win over what is still to be turned
        size = float(np.linalg.norm(change))
        self._velocity = self._velocity + (change if size <= most else change * most / size)
        self.tip = self.tip + self._velocity * duration_s
        turn, turn_rate = aim.yaw - self.yaw, TURN_RATE * self.pace
        self._turning = _towards(turn, self._turning, turn_rate, TURN_ACCELERATION, duration_s)
        self.yaw += self._turning * duration_s
        way = aim.opening - self.opening
        self._opening = _towards(way, self._opening, OPENING_RATE, OPENING_ACCELERATION, duration_s)
        self.opening += self._opening * duration_s

    def pose(self, thing: str) -> Pose:
        """Where a thing is now."""
        return self.seen.things[thing]

    def go(
        self,
        point: Callable[[], np.ndarray],
        yaw: float = 0.0,
        opening: float = 1.0,
        speed: float = SPEED,
        within: float = 0.004,
    ) -> Script:
        """Until the leader's tool is within so many metres of a point, which may move."""
        while True:
            aim = Aim(point(), yaw, opening, speed)
            yield aim
            turned = abs(aim.yaw - self.yaw) < 0.02
            if turned and np.linalg.norm(aim.point - self.tip) < within:
                return

    def stay(self, seconds: float, opening: float = 1.0) -> Script:
        """Where the tool is, for so long."""
        until_s, point, yaw = self._time_s + seconds, self.tip, self.yaw
        while self._time_s < until_s:
            yield Aim(point, yaw, opening)

    def stray(self, std: float, size: int = 2) -> np.ndarray:
        """(size,) [m] by which a hand misses what it aims at."""
        return std * np.clip(self.rng.standard_normal(size), -2.0, 2.0)


def _towards(way: float, rate: float, most: float, acceleration: float, duration_s: float) -> float:
    """The next rate of change of a number that has this way to go: at the `most`, without a jump,
    and to rest without overshoot."""
    wanted = min(most, math.sqrt(acceleration * abs(way)), abs(way) / SETTLE_S)
    change = acceleration * duration_s
    return rate + min(max(math.copysign(wanted, way) - rate, -change), change)
