"""ClockWatch: whether the ROS clock goes on as real time does, told by a steady one."""

from __future__ import annotations

from vdd_ros.contract import Contract

# So long the ROS clock may stand [ns of real time]: a simulator that is slow or loaded steps less
# often than a robot, and one that is gone not at all.
PATIENCE_NS = 500_000_000
# Simulated time may go so much faster than real time.
FASTEST = 20.0


class ClockWatch:
    """stands: the clock has not gone on for PATIENCE_NS; leapt: since the last look it has gained
    more on real time than joint states may be old, and is too fast to be simulated."""

    def __init__(self, contract: Contract):
        self._most_ns = round(contract.streams["joint_state"].max_age_s * 1e9)
        self._seen: tuple[int, int] | None = None  # clock and real time at the last look
        self._moved_ns = 0  # real time when the clock was last seen to have moved
        self.stands = self.leapt = False

    def see(self, now_ns: int, real_ns: int) -> None:
        """The ROS clock, and a steady one, at the same moment."""
        if self._seen is None or now_ns != self._seen[0]:
            self._moved_ns = real_ns
        if self._seen is not None:
            gone, real = now_ns - self._seen[0], real_ns - self._seen[1]
            self.leapt = gone - real > self._most_ns and gone > FASTEST * real
        self._seen = now_ns, real_ns
        self.stands = real_ns - self._moved_ns > PATIENCE_NS
