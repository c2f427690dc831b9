"""Follower: when teleoperation sends, and what; from engaging to letting go.

    idle --clutch closed--> engaged --clutch opened--> held --clutch closed--> engaged
    idle <-- 0.5 s -- ending <-- a fault of any kind -- engaged or held

Idle is silent, held repeats the last target, and so does ending for a while: the arm comes to rest
at a command, before the gate brings it to rest for want of one. After a fault the clutch has to be
opened before it engages anew. No clock and no ROS here: times [s] are arguments, of one steady
clock.
"""

from __future__ import annotations

from enum import Enum

import numpy as np

from vdd_ros.command_gate import HELD_WITHIN
from vdd_ros.contract import Contract
from vdd_ros.teleop.gripper import Gripper
from vdd_ros.teleop.reading import Motion, Reading

ENDING_S = 0.5  # for so long a target is held after a fault
ASTRAY_S = 0.5  # the follower may be too far behind for so long
# A robot command so young is of somebody who drives; later the arm may have been moved by hand.
DRIVEN_S = 0.2
UNANSWERED_S = 1.0  # a gate that follows sends commands; after so long without one it does not
# How far a target may be ahead of an arm's joint whose contract says nothing [rad, m].
AHEAD = 0.3
AT_REST_S = 1.0  # a device without a clutch that is not moved for so long is let go of, if asked
LONG_AGO_S = -1e9


class State(Enum):
    IDLE = "idle"
    ENGAGED = "engaged"
    HELD = "held"
    ENDING = "ending"


class Follower:
    """One device and one follower.

    timeout_s: how long a device may be silent [s], inf: for ever; hold: whether an opened clutch
    holds the follower, and does not let go of it.
    """

    def __init__(
        self,
        contract: Contract,
        motion: Motion,
        gripper: Gripper | None = None,
        timeout_s: float = np.inf,
        hold: bool = True,
    ):
        self._motion, self._gripper = motion, gripper
        self._timeout_s, self._holds = timeout_s, hold
        self._joints_max_age_s = contract.streams["joint_state"].max_age_s
        self._period_s = 1.0 / contract.streams["teleop_command"].rate_hz
        self._names = contract.joint_names
        self._is_arm = np.array([joint.unit != "fraction" for joint in contract.joints])
        unwatched = np.where(self._is_arm, AHEAD, np.inf)
        self._ahead = np.where(np.isinf(contract.tracking), unwatched, contract.tracking)
        self.state = State.IDLE
        self.reason = ""  # of the last fault, until it engages anew
        self.target = np.zeros(0)  # (Da,) sent last [unit]
        self._measured = self._commanded = np.zeros(0)
        self._measured_s = self._commanded_s = self._heard_s = self._moved_s = LONG_AGO_S
        self._ticked_s = self._until_s = self._near_s = self._engaged_s = LONG_AGO_S
        self._reading = Reading(np.zeros(0))
        self.obstacle = ""  # why nothing may be sent, as somebody else knows
        self._is_armed = False  # the clutch was seen open since it last engaged, or failed to
        self._e_stopped = False

    def observe(self, position: np.ndarray, now_s: float) -> None:
        """Where the follower is (Da,) [unit]; what is not finite is not taken."""
        if np.isfinite(position).all():
            self._measured, self._measured_s = position, now_s

    def hear_command(self, position: np.ndarray, now_s: float) -> None:
        """What was sent to the robot (Da,) [unit], by whomever."""
        if np.isfinite(position).all():
            self._commanded, self._commanded_s = position, now_s

    def take(self, reading: Reading, now_s: float) -> None:
        """A reading of the device that is in order."""
        self._reading, self._heard_s = reading, now_s
        wants = reading.moves if reading.wanted is None else reading.wanted
        if wants:
            self._moved_s = now_s
        elif self.state is not State.ENGAGED:
            self._is_armed = True
        if reading.let_go:
            self.let_go()
        elif reading.wanted is False:
            self.release()
        elif wants and self._is_armed and self.state is not State.ENGAGED:
            self._engage(now_s)

    def is_heard(self, now_s: float) -> bool:
        """Whether the device speaks."""
        return now_s - self._heard_s <= self._timeout_s

    def engage(self, now_s: float) -> bool:
        """Close a clutch that is closed by asking; whether it is, else `reason` says why not."""
        if self.state is not State.ENGAGED:
            self._engage(now_s)
        return self.state is State.ENGAGED

    def release(self) -> None:
        """Open the clutch."""
        if self.state is State.ENGAGED:
            self.state, self._is_armed = State.HELD if self._holds else State.IDLE, True

    def e_stop(self, pressed: bool) -> None:
        """While it is pressed, nothing is sent."""
        self._e_stopped = pressed
        if pressed and self.state is not State.IDLE:
            self.let_go()
            self.reason = "the e-stop was pressed"

    def let_go(self) -> None:
        """Send nothing any more; the gate brings the arm to rest, or a policy has it."""
        self.state, self._is_armed = State.IDLE, False

    def stop(self, reason: str, now_s: float) -> None:
        """Hold, then let go, for a reason that is told."""
        if self.state in (State.ENGAGED, State.HELD):
            self.state, self.reason, self._is_armed = State.ENDING, reason, False
            self._until_s = now_s + ENDING_S

    def tick(self, now_s: float) -> np.ndarray | None:
        """The target (Da,) to send now [unit], None for nothing; once a period."""
        dt = min(max(0.0, now_s - self._ticked_s), 2.0 * self._period_s)
        self._ticked_s = now_s
        self._watch(now_s)
        if self.state is State.ENDING and now_s >= self._until_s:
            self.state = State.IDLE
        if self.state is State.IDLE:
            return None
        if self._is_near():
            is_led = self.state is State.ENGAGED
            self.target = self._step(dt) if is_led else self._motion.rest(self.target, dt)
        return self.target

    def _step(self, dt: float) -> np.ndarray:
        target = self._motion.step(self.target, self._reading, dt)
        if self._gripper is None:
            return target
        at = float(self.target[self._gripper.column])
        return self._gripper.step(target, at, self._reading.grip, dt)

    def _watch(self, now_s: float) -> None:
        """What ends an engagement."""
        if self.state not in (State.ENGAGED, State.HELD):
            return
        if self._is_near():
            self._near_s = now_s
        if self.obstacle:
            self.stop(self.obstacle, now_s)
        elif not self.is_heard(now_s):
            self.stop(f"the device is silent for more than {self._timeout_s:g} s", now_s)
        elif self._joints_are_old(now_s):
            self.stop(f"no joint state for more than {self._joints_max_age_s:g} s", now_s)
        elif now_s - self._near_s > ASTRAY_S:
            gap = np.abs(self.target - self._measured) / self._ahead
            name = self._names[int(gap.argmax())]
            self.stop(
                f"the follower does not follow, {name} least: is the gate stopped, or something "
                "in its way?",
                now_s,
            )
        elif now_s - max(self._commanded_s, self._engaged_s) > UNANSWERED_S:
            self.stop(
                "the gate sends nothing to the robot: is it stopped, or does no robot listen? Its "
                "own diagnostics tell",
                now_s,
            )
        elif not self._holds and now_s - self._moved_s > AT_REST_S:
            self.let_go()

    def _engage(self, now_s: float) -> None:
        """From where the follower was sent, if it is there; else from where it is."""
        self._is_armed = False
        if self._e_stopped:
            self.reason = "the e-stop is pressed: let it go, reset the gate, then engage anew"
        elif self.obstacle:
            self.reason = self.obstacle
        elif not self.is_heard(now_s):
            self.reason = "nothing comes from the device: is its driver running?"
        elif self._joints_are_old(now_s):
            self.reason = "no joint states come: is the robot's driver running? Then engage anew"
        else:
            if self.state is not State.HELD:
                self.target = self._begin(now_s)
            self._motion.begin(self.target, self._reading)
            if self._gripper is not None:
                self._gripper.begin()
            self.state, self.reason = State.ENGAGED, ""
            self._near_s = self._engaged_s = now_s

    def _begin(self, now_s: float) -> np.ndarray:
        """A gripper goes on with what it was told, so that it lets nothing fall."""
        if not self._commanded.size:
            return self._measured
        is_driven = now_s - self._commanded_s <= DRIVEN_S
        within = self._ahead if is_driven else HELD_WITHIN
        off = np.abs(self._commanded - self._measured)
        is_there = bool((off <= within)[self._is_arm].all())
        return np.where(self._is_arm & (not is_there), self._measured, self._commanded)

    def _is_near(self) -> bool:
        return bool((np.abs(self.target - self._measured) <= self._ahead).all())

    def _joints_are_old(self, now_s: float) -> bool:
        return now_s - self._measured_s > self._joints_max_age_s
