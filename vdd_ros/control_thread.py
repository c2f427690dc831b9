"""ControlThread: an ActionLoop on a clock of its own.

Whatever other threads have to say goes through slots and is taken up at the next tick, so that the
loop and the gate are only ever touched by this thread. However the thread ends, by request or by an
exception, it brings the arm to rest first.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

import numpy as np

from vdd_ros.action_loop import ActionLoop, TickResult
from vdd_ros.command_gate import StopReason
from vdd_ros.errors import UserError
from vdd_ros.monitor import Monitor, OnnxDensity
from vdd_ros.ood_detector import OodDetector
from vdd_ros.realtime import claim, lock_memory, pace, undisturbed
from vdd_ros.tick_log import TickLog

# More than a second of samples: a loop that is further behind has long stopped by itself.
INBOX_SIZE = 512
# Any arm is at rest by then; it only matters if the ROS clock stands still meanwhile.
LONGEST_BRAKING_S = 2.0


class ControlThread:
    """now_ns: the ROS clock; send: takes each TickResult and publishes what is in it; listening:
    whether anyone hears what is sent (nothing is, before it does); most_missed: so many missed
    deadlines lately are a stop (`Monitor.missed_lately`), 0: never; on_out_of_distribution: what is
    done while a policy drives on observations unlike those it was trained on: warn (nothing here),
    slow (down to slow_speed, a share of the velocity limits) or hold (a stop)."""

    def __init__(
        self,
        loop: ActionLoop,
        now_ns: Callable[[], int],
        send: Callable[[TickResult], None],
        listening: Callable[[], bool],
        *,
        density: OnnxDensity | None = None,
        detector: OodDetector | None = None,
        on_out_of_distribution: str = "warn",
        slow_speed: float = 0.1,
        priority: int = 0,
        cpu: int = -1,
        most_missed: int = 0,
        keep_log: bool = False,
    ):
        self.loop = loop
        self.dropped = 0  # samples that found the inbox full
        self.refused: list[str] = []  # what the system did not permit
        self.log: TickLog | None = None
        self._now_ns = now_ns
        self._send = send
        self._listening = listening
        self._begun = False
        self._density, self.detector = density, detector
        self.on_out_of_distribution, self._slow_speed = on_out_of_distribution, slow_speed
        self._priority, self._cpu = priority, cpu
        self._most_missed = most_missed
        self._keep_log = keep_log
        self._inbox: deque[tuple] = deque(maxlen=INBOX_SIZE)
        self._e_stop_pressed = self._e_stop_seen = False
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self.monitor = Monitor(loop.contract.control_period_ns, density, detector)

    @property
    def running(self) -> bool:
        """Whether ticks are being made."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Begin a run; raises UserError while the e-stop is pressed."""
        if self._e_stop_pressed:
            raise UserError("the e-stop is pressed: release it, then activate")
        contract, policy = self.loop.contract, self.loop.policy
        self.loop.gate.e_stop(False, self._now_ns())
        self.loop.start(self._now_ns())
        self._inbox.clear()
        self._e_stop_seen = self._begun = False
        self._ending.clear()
        self.monitor = Monitor(contract.control_period_ns, self._density, self.detector)
        self.log = None
        if self._keep_log:
            self.log = TickLog(policy.n_obs_steps, contract.observation_dim, contract.action_dim)
        self._thread = threading.Thread(target=self._run, name="control")
        self._thread.start()

    def stop(self) -> None:
        """Bring the arm to rest, then end; does nothing if there is no run."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def add(
        self, stream: str, fields: dict[str, np.ndarray] | None, stamp_ns: int, received_ns: int
    ) -> None:
        """Leave a sample for the next tick; `fields` is None for one that lacks a joint."""
        if self.running:
            self.dropped += len(self._inbox) == INBOX_SIZE
            self._inbox.append((stream, fields, stamp_ns, received_ns))

    def e_stop(self, pressed: bool) -> None:
        """Leave word of the e-stop; even a short press is seen by the next tick."""
        self._e_stop_pressed = pressed
        self._e_stop_seen |= pressed

    def _run(self) -> None:
        self.refused = claim(self._priority, self._cpu)
        if self._priority > 0:
            self.refused += lock_memory()
        with undisturbed():
            try:
                for wake_ns in pace(self.loop.contract.control_period_ns):
                    if self._ending.is_set():
                        return
                    self._tick(wake_ns)
            finally:
                self._bring_to_rest()

    def _tick(self, wake_ns: int) -> None:
        now_ns = self._now_ns()
        self._take_e_stop(now_ns)
        if not self._begin():
            return
        while self._inbox:
            self._take(*self._inbox.popleft())
        result = self.loop.tick(now_ns)
        self._deliver(result)
        self.monitor.take(result, wake_ns)
        self._heed_detector()
        if 0 < self._most_missed <= self.monitor.missed_lately:
            self.loop.stop(StopReason.DEADLINES_MISSED)

    def _heed_detector(self) -> None:
        """A leader knows what he does: only the policy is slowed or stopped."""
        gate = self.loop.gate
        is_out = bool(self.monitor.out_of_distribution) and gate.source == "policy"
        if self.on_out_of_distribution == "slow":
            gate.filter.limit_speed(self._slow_speed if is_out else 1.0)
        elif self.on_out_of_distribution == "hold" and is_out:
            self.loop.detail = (
                f"{self.monitor.explanation(self.loop.contract)}: look at it, then activate anew "
                "to go on"
            )
            self.loop.stop(StopReason.OUT_OF_DISTRIBUTION)

    def _begin(self) -> bool:
        """Whether the run has begun; it does with the first listener and ends with the last."""
        if self._listening():
            self._begun = True
        elif self._begun:
            self.loop.stop(StopReason.ROBOT_GONE)
        else:
            self._inbox.clear()
        return self._begun

    def _take_e_stop(self, now_ns: int) -> None:
        if self._e_stop_seen:
            self._e_stop_seen = False
            self.loop.gate.e_stop(True, now_ns)
        elif self.loop.gate.e_stopped and not self._e_stop_pressed:
            self.loop.gate.e_stop(False, now_ns)

    def _take(self, stream: str, fields: dict | None, stamp_ns: int, received_ns: int) -> None:
        if fields is None:
            self.loop.add_incomplete(stream)
            return
        self.loop.add(stream, fields, stamp_ns, received_ns)
        if self.log is not None:
            self.log.add(stream, fields, stamp_ns, received_ns)

    def _deliver(self, result: TickResult) -> None:
        self._send(result)
        if self.log is not None:
            self.log.tick(result)

    def _bring_to_rest(self) -> None:
        ended = self._ending.is_set()
        self.loop.stop(StopReason.DEACTIVATED if ended else StopReason.LOOP_ENDED)
        give_up_ns = time.monotonic_ns() + round(LONGEST_BRAKING_S * 1e9)
        period_ns = self.loop.contract.control_period_ns
        now_ns = self._now_ns()
        for wake_ns in pace(period_ns):
            self._deliver(TickResult(now_ns, self.loop.gate.tick(now_ns)))
            if self.loop.gate.silent or wake_ns > give_up_ns:
                return
            # A clock that stands still, as /clock does for whoever waits here, does not end this.
            now_ns = max(now_ns + period_ns, self._now_ns())
