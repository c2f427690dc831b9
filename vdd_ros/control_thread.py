"""ControlThread: an ActionLoop on a clock of its own.

At every tick it takes what has come since the last one, and the word of the e-stop from a slot, so
that the loop and the gate are only ever touched by this thread. However the thread ends, by request
or by an exception, it brings the arm to rest first. It and the thread of its owner, which hears the
e-stop, watch each other: `beat` of the one, `beat_ns` of the other.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from vdd_ros.action_loop import ActionLoop
from vdd_ros.beat_watch import BeatWatch
from vdd_ros.command_gate import StopReason
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.frozen_watch import FrozenWatch
from vdd_ros.gate_clock import GateClock
from vdd_ros.last_command import LastCommand
from vdd_ros.monitor import Monitor, OnnxDensity
from vdd_ros.ood_detector import OodDetector
from vdd_ros.realtime import Wake, claim, lock_memory, pace, sleep_until, undisturbed
from vdd_ros.tick_log import TickLog
from vdd_ros.tick_result import Fault, TickResult

# So long the owner's thread may do something else while the arm moves. It looks for the e-stop a
# hundred times a second; the state of a run and what it asks of the graph take some ten
# milliseconds, on a busy machine some hundred.
DEAF_NS = 500_000_000
COUNTED_PERIODS = 2  # of that, from one tick to the next (see `BeatWatch`)
# A thread that has been told to end needs no longer than the arm to come to rest, and this [s].
# Longer than a plan that is late: what is waited for then does not come back.
END_S = 2.0


class Arrival(NamedTuple):
    """One message. fields: as `ActionLoop.add` takes them, of a camera (F,) by image, None of one
    that has a `fault`; content: of a camera, another number for other pixels."""

    stream: str
    fields: dict[str, np.ndarray] | None
    stamp_ns: int
    received_ns: int
    fault: Fault | None = None
    content: int = 0


class ControlThread:
    """now_ns: the ROS clock; receive: gives what has come by a tick since it was last called; send:
    takes each TickResult and publishes what is in it; listening: whether anyone hears what is sent
    (nothing is, before it does); send_after_s: so long after the beginning of a tick its result is
    sent, 0 for as soon as it is there; most_missed: so many missed deadlines lately are a stop
    (`Monitor.missed_lately`), 0: never; on_out_of_distribution: what is done while a policy drives
    on observations unlike those it was trained on: warn (nothing here), slow (down to slow_speed, a
    share of the velocity limits) or hold (a stop); last: where the arm's commands are noted; beat:
    a number that changes as long as the e-stop is heard."""

    def __init__(
        self,
        loop: ActionLoop,
        now_ns: Callable[[], int],
        receive: Callable[[int], Iterable[Arrival]],
        send: Callable[[TickResult], None],
        listening: Callable[[], bool],
        *,
        density: OnnxDensity | None = None,
        detector: OodDetector | None = None,
        on_out_of_distribution: str = "warn",
        slow_speed: float = 0.1,
        send_after_s: float = 0.0,
        priority: int = 0,
        cpu: int = -1,
        most_missed: int = 0,
        keep_log: bool = False,
        last: LastCommand | None = None,
        beat: Callable[[], int] | None = None,
    ):
        self.loop = loop
        self.refused: list[str] = []  # what the system did not permit
        self.log: TickLog | None = None
        self._now_ns = now_ns
        self._receive = receive
        self._send = send
        self._listening = listening
        self._begun = False
        self.last = last or LastCommand()
        self._clock = GateClock(loop.gate, loop.contract, now_ns, self.last)
        self.beat_ns = 0  # when the last tick began, by a steady clock; 0: none has
        self._beat = beat
        self._density, self.detector = density, detector
        self.on_out_of_distribution, self._slow_speed = on_out_of_distribution, slow_speed
        self._send_after_ns = round(send_after_s * 1e9)
        self._priority, self._cpu = priority, cpu
        self._most_missed = most_missed
        self._keep_log = keep_log
        self._e_stop_pressed = self._e_stop_seen = False
        self._hearing = self._watch_of_hearing()
        self.halted: tuple[StopReason, str] | None = None  # the first word of `halt`
        self._frozen = FrozenWatch(loop.contract)
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self.monitor = Monitor(loop.contract.control_period_ns, density, detector)

    @property
    def running(self) -> bool:
        """Whether ticks are being made."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def hangs(self) -> bool:
        """Whether ticks, or one, go on though they were to end."""
        return self.running and self._ending.is_set()

    def start(self) -> None:
        """Begin a run; raises UserError while the e-stop is pressed, or the last run hangs."""
        if self.running:
            raise UserError("the control thread of the last run hangs: start the node anew")
        if self._e_stop_pressed:
            raise UserError("the e-stop is pressed: release it, then activate")
        contract, policy = self.loop.contract, self.loop.policy
        self.loop.gate.e_stop(False, self._now_ns())
        self.loop.start(self._now_ns())
        self._forget_arrivals(self._now_ns())
        self._e_stop_seen = self._begun = False
        self.halted = None
        self.beat_ns = 0
        self._hearing = self._watch_of_hearing()
        self._frozen = FrozenWatch(contract)
        self._clock.begin()
        self._ending.clear()
        self.monitor = Monitor(contract.control_period_ns, self._density, self.detector)
        self.log = None
        if self._keep_log:
            self.log = TickLog(policy.n_obs_steps, contract.observation_dim, contract.n_joints)
        # one that hangs does not keep the process from its end
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)
        self._thread.start()

    def stop(self) -> bool:
        """Bring the arm to rest, then end; does nothing if there is no run. Whether it has ended:
        one that hangs, in a policy, is not waited for."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join(longest_braking_ns(self.loop.contract) * 1e-9 + END_S)
        return not self.running

    def e_stop(self, pressed: bool) -> None:
        """Leave word of the e-stop; even a short press is seen by the next tick."""
        self._e_stop_pressed = pressed
        self._e_stop_seen |= pressed

    def halt(self, reason: StopReason, detail: str) -> None:
        """Leave word that the arm is to be brought to rest, for a reason known elsewhere; the first
        word of a run counts."""
        self.halted = self.halted or (reason, detail)

    def _run(self) -> None:
        self.refused = claim(self._priority, self._cpu)
        if self._priority > 0:
            self.refused += lock_memory()
        with undisturbed():
            try:
                for wake in pace(self.loop.contract.control_period_ns):
                    if self._ending.is_set():
                        return
                    self._tick(wake)
            finally:
                self._bring_to_rest()

    def _watch_of_hearing(self) -> BeatWatch:
        return BeatWatch(COUNTED_PERIODS * self.loop.contract.control_period_ns)

    def _tick(self, wake: Wake) -> None:
        self.beat_ns = wake.now_ns
        now_ns = self._time_ns(wake.now_ns)
        self._take_e_stop(now_ns)
        if not self._begin():
            self._forget_arrivals(now_ns)
            return
        if (fault := self._clock.fault) is not None:
            self.loop.stop(fault)
        self._heed_owner(wake.now_ns)
        for arrival in self._receive(now_ns):
            self._take(arrival)
        result = self.loop.tick(now_ns)
        self._deliver(result, wake)
        self.loop.look_ahead(result)
        self.monitor.take(result, wake.now_ns)
        self._heed_detector()
        if 0 < self._most_missed <= self.monitor.missed_lately:
            self.loop.stop(StopReason.DEADLINES_MISSED)

    def _time_ns(self, real_ns: int, ending: bool = False) -> int:
        """What the gate is told at a tick."""
        now_ns = self._now_ns()
        self._clock.watch.see(now_ns, real_ns)
        return self._clock.tell(now_ns, self.loop.contract.control_period_ns, ending)

    def _heed_owner(self, real_ns: int) -> None:
        """What its thread has left word of; and that it goes on, while the arm is moved."""
        if self._beat is not None:
            self._hearing.see(self._beat(), real_ns)
        gate = self.loop.gate
        if self.halted is not None and (gate.source is not None or not gate.locked):
            self.loop.stop(*self.halted)
        elif gate.source is not None and self._hearing.still_ns > DEAF_NS:
            self.loop.stop(StopReason.EXECUTOR_HUNG)

    def _heed_detector(self) -> None:
        """A leader knows what he does: only the policy is slowed or stopped."""
        gate = self.loop.gate
        is_out = bool(self.monitor.out_of_distribution) and gate.source == "policy"
        if self.on_out_of_distribution == "slow":
            gate.filter.limit_speed(self._slow_speed if is_out else 1.0)
        elif self.on_out_of_distribution == "hold" and is_out:
            why = self.monitor.explanation(self.loop.contract)
            asked = f"{why}: look at it, then activate anew to go on"
            self.loop.stop(StopReason.OUT_OF_DISTRIBUTION, asked)

    def _begin(self) -> bool:
        """Whether the run has begun; it does with the first listener and ends with the last."""
        if self._listening():
            self._begun = True
        elif self._begun:
            self.loop.stop(StopReason.ROBOT_GONE)
        return self._begun

    def _forget_arrivals(self, now_ns: int) -> None:
        for _ in self._receive(now_ns):
            pass

    def _take_e_stop(self, now_ns: int) -> None:
        if self._e_stop_seen:
            self._e_stop_seen = False
            self.loop.gate.e_stop(True, now_ns)
        elif self.loop.gate.e_stopped and not self._e_stop_pressed:
            self.loop.gate.e_stop(False, now_ns)

    def _take(self, arrival: Arrival) -> None:
        if arrival.fault is not None:
            self.loop.add_broken(arrival.stream, arrival.fault)
            return
        stream, fields, stamp_ns, received_ns, _, _ = arrival
        assert fields is not None
        if stream in self.loop.contract.cameras:
            self._look(arrival, fields)
        else:
            self.loop.add(stream, fields, stamp_ns, received_ns)
        if self.log is not None:
            self.log.add(stream, fields, stamp_ns, received_ns)

    def _look(self, arrival: Arrival, features: dict[str, np.ndarray]) -> None:
        """A picture that shows nothing new is not taken, and grows old."""
        camera, _, stamp_ns, received_ns, _, content = arrival
        joints = self.loop.gate.measured
        fault = None
        if joints is not None:
            fault = self._frozen.fault(camera, content, stamp_ns, joints)
        if fault is not None:
            self.loop.add_broken(camera, fault)
            return
        for name, seen in features.items():
            self.loop.add_image(name, seen, stamp_ns, received_ns)

    def _deliver(self, result: TickResult, wake: Wake) -> None:
        if self._send_after_ns:
            sleep_until(wake.due_ns + self._send_after_ns)
        if result.output is not None and not self._clock.leaves(result.output, result.tick_ns):
            result = result._replace(output=None)
        self._send(result)
        if self.log is not None:
            self.log.tick(result)

    def _bring_to_rest(self) -> None:
        ended = self._ending.is_set()
        self.loop.stop(StopReason.DEACTIVATED if ended else StopReason.LOOP_ENDED)
        give_up_ns = time.monotonic_ns() + longest_braking_ns(self.loop.contract)
        for wake in pace(self.loop.contract.control_period_ns):
            self.beat_ns = wake.now_ns
            now_ns = self._time_ns(wake.now_ns, ending=True)
            self._deliver(TickResult(now_ns, self.loop.gate.tick(now_ns)), wake)
            if self.loop.gate.silent or wake.now_ns > give_up_ns:
                return


def longest_braking_ns(contract: Contract) -> int:
    """Twice what the slowest joint needs to come to rest from its largest speed, and a second; by
    then something is wrong with the ramp itself."""
    speed, slowing = contract.limit("velocity"), contract.limit("acceleration")
    seconds = speed / slowing
    if contract.limits_jerk:
        seconds = seconds + slowing / contract.limit("jerk")
    return round((2.0 * float(seconds.max()) + 1.0) * 1e9)
