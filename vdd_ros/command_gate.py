"""CommandGate: several sources want the arm, one command goes out.

Order of precedence: e-stop, then teleoperation, then the policy. The gate is silent until a source
speaks and the joints are known. While a source drives, each of its commands is answered at once;
when it falls silent, the arm is brought to rest from the last command sent, and the gate is silent
again. Then a leader may engage anew; a policy that has stopped driving, or that comes after a
leader, may not before `reset`. After every other stop nothing may. A leader that speaks while a
policy drives and cannot be followed is a stop: who wants the arm is not ignored.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.rejects import Misdated, Rejects
from vdd_ros.safety import SafeCommand, SafetyFilter

PRECEDENCE = LEADER, POLICY = "teleop", "policy"
NO_POSITION = np.zeros(0)  # of a message without one: refused for its size
# An arm that is further than this from the last command sent [rad, m], and this long after it, does
# not lag behind: something else has moved it since.
HELD_WITHIN = 0.05
SETTLING_NS = 500_000_000
# So long the arm may be further from the last command than the contract allows: no arm lags behind
# for that long, and one that pushes against something should not.
ASTRAY_NS = 500_000_000
# An arm that got no command for so long stands where the last one led: the next begins from rest.
STANDING_PERIODS = 4
STANDING_NS = 20_000_000  # and for so long, which is more periods at fast rates
LONG_AGO_NS = -(2**62)


def standing_ns(period_ns: int) -> int:
    """After so long without a command an arm stands."""
    return max(STANDING_NS, STANDING_PERIODS * period_ns)


class StopReason(Enum):
    """Why the arm was brought to rest."""

    E_STOP = "e-stop"
    SOURCE_SILENT = "the driving source fell silent"
    RELEASED = "the driving source let go"
    JOINTS_STALE = "joint states are too old"
    JOINT_MISSING = "joint states lack a joint"
    OBSERVATION_STALE = "an observation stream is too old"
    OBSERVATION_BROKEN = "an observation is not finite"
    MESSAGE_BROKEN = "messages of a stream cannot be read"
    NOT_FINITE = "a target is not finite"
    NO_ROTATION = "an action tells a rotation that is none"
    WRONG_SIZE = "a target has the wrong size"
    POLICY_FAILED = "the policy could not be evaluated"
    OUTSIDE_LIMITS = "the arm is outside its position limits"
    PLAN_LATE = "no new plan came before the last one ended"
    FAR_FROM_START = "the arm is not where demonstrations began"
    NOT_FOLLOWING = "the arm does not follow its commands"
    OUT_OF_DISTRIBUTION = "the observation is not like those that the policy was trained on"
    DEADLINES_MISSED = "the control loop does not keep its rate"
    RIVAL = "another node publishes robot commands"
    ROBOT_GONE = "no robot listens to commands any more"
    CLOCK_BACK = "the clock went back"
    CLOCK_AHEAD = "the clock jumped ahead"
    CLOCK_STILL = "the clock stands still"
    DEACTIVATED = "deactivated"
    LOOP_ENDED = "the control loop ended"
    EXECUTOR_HUNG = "the node's executor hangs and would not hear the e-stop"
    CONTROL_HUNG = "the control thread hangs"
    LEADER_UNUSABLE = "a leader speaks, but its messages cannot be used"
    CAMERA_BLIND = "a camera shows nothing, nothing new, or what another one sees"


class GateOutput(NamedTuple):
    """position: (Da,) to send now [unit]; source: who is followed, None while braking; limited: see
    SafeCommand; reason: why the arm is braking, None while it follows; move: (Da,) from the command
    before, or from where the arm began [unit]."""

    position: np.ndarray
    source: str | None
    limited: tuple[str, ...]
    reason: StopReason | None
    move: np.ndarray


class _Heard(NamedTuple):
    position: np.ndarray
    stamp_ns: int
    received_ns: int


class CommandGate:
    """Arbitration, watchdog and limits in front of the robot; no clock, no ROS.

    final: sources after whose falling silent nothing may engage before `reset`; follows: whether
    the arm is expected to. gap_ns: for how long no command has left when the next is made, of
    `now_ns` and when the last was due by the same clock; who has a steady clock knows better.
    """

    def __init__(self, contract: Contract, final: tuple[str, ...] = (), follows: bool = True):
        self.filter = SafetyFilter(contract)
        self._final = final
        # of the first stop since the arm last followed, or why it may not begin to
        self.reason: StopReason | None = None
        self.locked = False  # nothing may engage before `reset`
        self.policy_out = False  # no policy may
        self.source: str | None = None  # who drives
        self.e_stopped = False
        self.rejects = Rejects()
        self.stops = 0  # since it was made
        self.last_stop: StopReason | None = None  # is not forgotten when somebody drives again
        self.gap_ns: Callable[[int, int], int] = lambda now_ns, sent_ns: 0
        self._period_ns = contract.control_period_ns
        self.standing_ns = standing_ns(self._period_ns)
        streams = contract.streams
        self._tracking = contract.tracking if follows else np.full(contract.n_joints, np.inf)
        self._joints_max_age_ns = round(streams["joint_state"].max_age_s * 1e9)
        self._max_age_ns = {
            source: round(streams[f"{source}_command"].max_age_s * 1e9)
            for source in PRECEDENCE
            if f"{source}_command" in streams
        }
        self._forget()

    def _forget(self) -> None:
        self.measured: np.ndarray | None = None
        self._heard: dict[str, _Heard] = {}
        self._misdated = Misdated(self._max_age_ns.get(LEADER, 0))  # messages of the leader
        self._astray_since_ns: int | None = None
        self._begun_ns = LONG_AGO_NS  # what was stamped before counts no more
        self._measured_ns = self._now_ns = self._sent_ns = self._due_ns = LONG_AGO_NS
        self._measured_then_ns = LONG_AGO_NS  # the newest joint state known at the last command

    @property
    def silent(self) -> bool:
        """Whether nothing is being sent: nobody drives, and the arm is at rest."""
        return self.source is None and self.filter.at_rest

    @property
    def braking(self) -> bool:
        """Whether the arm is on its way to rest."""
        return self.source is None and not self.filter.at_rest

    def is_behind(self, now_ns: int) -> bool:
        """Whether joint states are stamped so far ahead that theirs is another clock, one that goes
        on where this one stands still."""
        return self._measured_ns - now_ns > self._joints_max_age_ns

    @property
    def arm_gap_ns(self) -> int:
        """For how long no command has left by the arm's own time, the stamps of its joint states,
        at least: they, and the clock, may be told late."""
        return self._measured_ns - max(self._sent_ns, self._measured_then_ns)

    def reset(self, now_ns: int) -> bool:
        """Clear the stop and forget everything, a policy may drive again; only targets stamped from
        `now_ns` on count, and the next command starts from the position measured after it.

        Refused (False) while the e-stop is pressed or the arm is not yet at rest.
        """
        if self.e_stopped or not self.silent:
            return False
        self.reason, self.locked, self.policy_out = None, False, False
        self.filter.position = None
        self._forget()
        # what is still on its way from before is not taken
        self._begun_ns, self._measured_ns = now_ns, now_ns - 1
        return True

    def hold(self, position: np.ndarray, sent_ns: int) -> None:
        """Take over an arm at rest at the last command of another gate, (Da,) [unit], sent then."""
        self.filter.reset(position)
        self._sent_ns = sent_ns

    @property
    def held(self) -> tuple[np.ndarray, int] | None:
        """What `hold` takes; None while nothing has been sent."""
        position = self.filter.position
        return None if position is None else (position, self._sent_ns)

    def observe(self, position: np.ndarray, stamp_ns: int) -> None:
        """Take measured joint positions (Da,) [unit]; older, broken or partial ones are not."""
        fits = position.shape == self.filter.lower.shape and np.isfinite(position).all()
        if fits and stamp_ns > self._measured_ns:
            self.measured, self._measured_ns = position, stamp_ns
            self._compare(position, stamp_ns)

    def _compare(self, measured: np.ndarray, stamp_ns: int) -> None:
        """Note since when the arm has been further from the last command than it may be."""
        sent = measured if self.source is None else self.filter.position
        if (np.abs(measured - sent) <= self._tracking).all():
            self._astray_since_ns = None
        elif self._astray_since_ns is None:
            self._astray_since_ns = stamp_ns

    def submit(
        self, source: str, target: np.ndarray, stamp_ns: int, now_ns: int
    ) -> GateOutput | None:
        """A source's target (Da,) [unit], wanted since `stamp_ns`; the command that answers it, if
        this source may drive and the control period has passed."""
        self._watch(now_ns)
        if not self._take(source, target, stamp_ns, now_ns):
            return None
        if self.source != source and not self._engage(source, now_ns):
            return None
        return self._follow(source, now_ns) if self._is_due(now_ns) else None

    def tick(self, now_ns: int) -> GateOutput | None:
        """The watchdog, to be called at least once a control period.

        Returns the next command of the ramp to rest, or of the way to the last target of a source
        slower than the control rate.
        """
        self._watch(now_ns)
        if self.silent:
            return None
        if self.source is None:
            return self._brake(now_ns) if self._is_due(now_ns) else None
        # the source's own next command goes first, if it speaks at the control rate
        overdue = now_ns - self._heard[self.source].received_ns >= 1.5 * self._period_ns
        return self._follow(self.source, now_ns) if overdue and self._is_due(now_ns) else None

    def e_stop(self, active: bool, now_ns: int) -> None:
        """The e-stop was pressed or let go; letting go alone does not set anything in motion."""
        self.e_stopped = active
        if active:
            self._watch(now_ns)
            self.stop(StopReason.E_STOP)

    def stop(self, reason: StopReason) -> None:
        """Bring the arm to rest and keep it there until `reset`."""
        self.locked = True
        self._rest(reason)

    def release(self, source: str) -> None:
        """A source lets go; if it was driving, the arm comes to rest."""
        self._heard.pop(source, None)
        if self.source == source:
            self._rest(StopReason.RELEASED)

    def take_back(self, output: GateOutput) -> None:
        """What was made last has not left: the arm stands where it was to go on from."""
        self.filter.reset(output.position - output.move)

    def refuse(self, source: str) -> None:
        """A source's message that cannot be used whatever its stamp. From a leader while a policy
        drives it is a stop."""
        self.rejects.note(source, "broken", 0, self._now_ns)
        if source == LEADER and self.source == POLICY:
            self.stop(StopReason.LEADER_UNUSABLE)

    def told_rejects(self) -> dict[str, object]:
        """`Rejects.told`, as of when the gate was last asked for anything."""
        return self.rejects.told(self._now_ns)

    def _rest(self, reason: StopReason) -> None:
        self.policy_out |= self.source == POLICY
        self.source = None
        if self.reason is None:
            self.reason = self.last_stop = reason
            self.stops += 1

    def _watch(self, now_ns: int) -> None:
        if now_ns < self._now_ns:
            self.stop(StopReason.CLOCK_BACK)
            self._forget()
        self._now_ns = now_ns
        if self.source is None:
            return
        if now_ns - self._heard[self.source].stamp_ns > self._max_age_ns[self.source]:
            self.locked |= self.source in self._final
            self._rest(StopReason.SOURCE_SILENT)
        elif not self._joints_known(now_ns):
            self.stop(StopReason.JOINTS_STALE)
        elif (
            self._astray_since_ns is not None
            and self._measured_ns - self._astray_since_ns >= ASTRAY_NS
        ):
            self.stop(StopReason.NOT_FOLLOWING)

    def _joints_known(self, now_ns: int) -> bool:
        return abs(now_ns - self._measured_ns) <= self._joints_max_age_ns

    def _take(self, source: str, target: np.ndarray, stamp_ns: int, now_ns: int) -> bool:
        """Note a target if it is usable; a broken one from whoever drives, or would, is a stop."""
        fault = None
        if target.shape != self.filter.lower.shape:
            fault = StopReason.WRONG_SIZE
        elif not np.isfinite(target).all():
            fault = StopReason.NOT_FINITE
        if fault:
            drives = self.source in (source, None)
            self.refuse(source)
            if drives:
                self.stop(fault)
            return False
        ahead_ns = stamp_ns - now_ns
        if abs(ahead_ns) > self._max_age_ns[source]:
            self.rejects.note(source, "ahead" if ahead_ns > 0 else "late", abs(ahead_ns), now_ns)
            if source == LEADER:
                self._misdated.note(now_ns)
                if self.source == POLICY and self._misdated.lasts(now_ns):
                    self.stop(StopReason.LEADER_UNUSABLE)
            return False
        if source == LEADER:
            self._misdated.forget()
        newest_ns = self._begun_ns - 1
        if source in self._heard:
            newest_ns = max(newest_ns, self._heard[source].stamp_ns)
        if stamp_ns <= newest_ns:
            self.rejects.note(source, "out_of_order", newest_ns - stamp_ns, now_ns)
            return False
        self._heard[source] = _Heard(np.array(target, dtype=np.float64), stamp_ns, now_ns)
        return True

    def _engage(self, source: str, now_ns: int) -> bool:
        if self.locked or self.e_stopped:
            return False
        if self.measured is None or not self._joints_known(now_ns):
            return False
        if source == POLICY:
            if self.policy_out:
                return False
            if self._misdated.lasts(now_ns):
                self.stop(StopReason.LEADER_UNUSABLE)
                return False
        if self.source is not None:  # handed over in motion, from the last command sent
            if PRECEDENCE.index(source) > PRECEDENCE.index(self.source):
                return False
        elif not self.silent or not self._begin(self.measured, now_ns):
            return False
        self.source, self.reason = source, None
        self.policy_out = source != POLICY
        return True

    def _begin(self, measured: np.ndarray, now_ns: int) -> bool:
        """From the last command sent while the arm holds it, so that it does not sag; from where
        the arm is if it was moved; not yet while it may still be on its way, nor from where it
        could not have got to."""
        last = self.filter.position
        if last is not None and np.abs(measured - last).max() <= HELD_WITHIN:
            return True
        if last is not None and now_ns - self._sent_ns < SETTLING_NS:
            return False
        beyond = np.maximum(self.filter.lower - measured, measured - self.filter.upper)
        if beyond.max() > HELD_WITHIN:  # perhaps not even in the contract's unit
            self.reason = StopReason.OUTSIDE_LIMITS
            return False
        self.filter.reset(measured)
        return True

    def _is_due(self, now_ns: int) -> bool:
        """Half a period of jitter is let through, the mean rate is not exceeded."""
        return now_ns >= self._due_ns - self._period_ns // 2

    def _follow(self, source: str, now_ns: int) -> GateOutput:
        self._note_standing(now_ns)
        command = self.filter.step(self._heard[source].position)
        return self._sent(now_ns, source, command, None)

    def _brake(self, now_ns: int) -> GateOutput:
        self._note_standing(now_ns)
        command = self.filter.brake()
        return self._sent(now_ns, None, command, self.reason)

    def _note_standing(self, now_ns: int) -> None:
        """After a gap the arm has come to rest by itself at the last command: the next one begins
        from there instead of going on at full speed."""
        if self.gap_ns(now_ns, self._sent_ns) > self.standing_ns:
            self.filter.stand()

    def _sent(
        self, now_ns: int, source: str | None, command: SafeCommand, reason: StopReason | None
    ) -> GateOutput:
        self._sent_ns, self._measured_then_ns = now_ns, self._measured_ns
        self._due_ns = max(self._due_ns, now_ns) + self._period_ns
        limited = () if source is None else command.limited
        return GateOutput(command.position, source, limited, reason, self.filter.move)
