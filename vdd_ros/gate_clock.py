"""GateClock: the time that a gate is told, for how long nothing was sent by it, and whether what it
made may still be sent."""

from __future__ import annotations

import time
from collections.abc import Callable

from vdd_ros.clock_watch import ClockWatch
from vdd_ros.command_gate import CommandGate, GateOutput, StopReason
from vdd_ros.contract import Contract
from vdd_ros.last_command import LastCommand


class GateClock:
    """The ROS clock. While the arm brakes it goes on where that one stands still, or is not the
    joints', so that the ramp is sent all the same.

    gate: whose `gap_ns` is answered from here; now_ns: the ROS clock; last: where what is sent is
    noted. told_ns: what the gate was told last.
    """

    def __init__(
        self, gate: CommandGate, contract: Contract, now_ns: Callable[[], int], last: LastCommand
    ):
        self.told_ns = 0
        self._made_ns = 0  # when the last command was, by a steady clock
        self._comes_to_rest = False  # as a command was held up, and none left since
        self._gate, self._contract, self._now_ns, self._last = gate, contract, now_ns, last
        self.begin()
        gate.gap_ns = self.gap_ns

    def begin(self) -> None:
        """Forget how the ROS clock went so far."""
        self.watch = ClockWatch(self._contract)

    def tell(self, now_ns: int, gone_ns: int, ending: bool = False) -> int:
        """What the gate is told at `now_ns` of the ROS clock, `gone_ns` after it was told last; at
        the end of a run it goes on in any case."""
        if ending or (self._gate.braking and self._is_stale(now_ns)):
            now_ns = max(now_ns, self.told_ns + gone_ns)
        self.told_ns = now_ns
        return now_ns

    @property
    def fault(self) -> StopReason | None:
        """A clock that stands makes everything look new for ever, one that leaps makes it look old.
        Only what moves the arm is to be stopped: who waits may wait for a clock."""
        if self._gate.source is None:
            return None
        if self.watch.stands:
            return StopReason.CLOCK_STILL
        return StopReason.CLOCK_AHEAD if self.watch.leapt else None

    def gap_ns(self, now_ns: int, sent_ns: int) -> int:
        """For how long no command has left: by real time and by the ROS clock, which may jump, or
        wait for a slow simulator, or by the arm's own, where the ROS clock alone is slow; by real
        time alone where that clock stands, or is not the joints'. The gate asks when it makes a
        command, and `leaves` counts from then."""
        self._made_ns = time.monotonic_ns()
        real_ns = self._made_ns - self._last.real_ns
        if self._is_stale(now_ns):
            return real_ns
        # not by the time of the tick, at whose beginning a plan may have been begun that took long
        return min(real_ns, max(self._now_ns() - sent_ns, self._gate.arm_gap_ns))

    def leaves(self, output: GateOutput, tick_ns: int) -> bool:
        """Whether a command may be sent, to be asked just before; it is noted then. One that was
        held up since it was made, in a process that stood still, would be a jump of an arm that has
        come to rest meanwhile: the next begins there, once the arm has stood without a command for
        as long as it takes to do so."""
        now_ns = time.monotonic_ns()
        self._comes_to_rest |= now_ns - self._made_ns > self._gate.standing_ns // 2
        if self._comes_to_rest:
            self._comes_to_rest = now_ns - self._last.real_ns < self._gate.standing_ns
            self._gate.take_back(output)
            return False
        self._last.note(output.position, tick_ns)
        return True

    def _is_stale(self, now_ns: int) -> bool:
        return self.watch.stands or self._gate.is_behind(now_ns)
