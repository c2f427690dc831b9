"""What a call takes on the device that this runs on, and whether it is done within a tick."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import islice
from typing import NamedTuple

from vdd_ros.realtime import pace
from vdd_ros.timing import in_turns, pinned_to_one_core

BLOCKS = 10


class DeviceLatency(NamedTuple):
    """Of so many calls in one pinned thread, one after the other; then of `ticks` at `rate_hz`:
    missed are those whose call had not returned when the next tick began."""

    p50_us: float
    p99_us: float
    p999_us: float
    calls: int
    rate_hz: float
    ticks: int
    missed: int

    def __str__(self) -> str:
        return (
            f"p50 {self.p50_us:.1f} us, p99 {self.p99_us:.1f} us, p99.9 {self.p999_us:.1f} us of "
            f"{self.calls} calls; {self.missed} of {self.ticks} deadlines missed at "
            f"{self.rate_hz:g} Hz"
        )


def latency_of(call: Callable[[], object], calls: int, rate_hz: float, ticks: int) -> DeviceLatency:
    """METRICS (docs/metrics.md): warm, pinned, without garbage collection."""
    with pinned_to_one_core():
        timed = in_turns({"call": call}, time.perf_counter_ns, BLOCKS, -(-calls // BLOCKS))
        missed = _missed(call, rate_hz, ticks)
    timing = timed["call"]
    p50, p99, p999 = (timing.percentile_us(percent) for percent in (50.0, 99.0, 99.9))
    return DeviceLatency(p50, p99, p999, timing.samples_us.size, rate_hz, ticks, missed)


def _missed(call: Callable[[], object], rate_hz: float, ticks: int) -> int:
    period_ns = round(1e9 / rate_hz)
    missed = 0
    for wake in islice(pace(period_ns), ticks):
        call()
        missed += time.monotonic_ns() > wake.due_ns + period_ns
    return missed
