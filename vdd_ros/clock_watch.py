"""ClockWatch: whether the ROS clock goes on as real time does, told by a steady one."""

from __future__ import annotations

from vdd_ros.contract import Contract

# So long the ROS clock may stand [ns of real time]: a simulator that is slow or loaded steps less
# often than a robot, and one that is gone not at all.
PATIENCE_NS = 500_000_000
# Simulated time may go so much faster than real time.
FASTEST = 20.0


class ClockWatch:
    """stands: the clock has not gone on for PATIENCE_NS; leapt: at this look it has gained more on
    real time than joint states may be old, and is too fast to be simulated. Where it stood before,
    as for a process that got no processor and hears of /clock late, it only catches up."""

    def __init__(self, contract: Contract):
        self._most_ns = round(contract.streams["joint_state"].max_age_s * 1e9)
        self._seen_ns: int | None = None  # the clock at the last look
        self._moved_ns = 0  # real time when the clock was last seen to have moved
        self.stands = self.leapt = False

    def see(self, now_ns: int, real_ns: int) -> None:
        """The ROS clock, and a steady one, at the same moment."""
        self.leapt = False
        if self._seen_ns is not None:
            gone, real = now_ns - self._seen_ns, real_ns - self._moved_ns
            self.leapt = gone - real > self._most_ns and gone > FASTEST * real
        if now_ns != self._seen_ns:
            self._seen_ns, self._moved_ns = now_ns, real_ns
        self.stands = real_ns - self._moved_ns > PATIENCE_NS
