"""Decisions: what was decided at each tick, in numbers, until somebody fetches them.

Noted by the control thread in an array that is made once, so that it costs a few microseconds and
no memory; fetched by another. No ROS.
"""

from __future__ import annotations

import math

import numpy as np

from vdd_ros.cdr import NS_PER_S
from vdd_ros.command_gate import PRECEDENCE, StopReason
from vdd_ros.safety import LIMITS
from vdd_ros.tick_result import TickResult

KEPT_S = 1.0  # of ticks; of more that nobody fetches, the oldest are lost
REASONS = {reason: place for place, reason in enumerate(StopReason)}
# What a row tells; `place` is one in the names that follow, and NaN is none.
COLUMNS = {
    "tick_s": "when, by the ROS clock: seconds,",
    "tick_ns": "and nanoseconds",
    "sent": "1 where a command left, 0 where there was only a wish",
    "source": f"who was followed: place in {' '.join(PRECEDENCE)}",
    "reason": f"why the arm braked: place in {' '.join(reason.name for reason in StopReason)}",
    "limited": f"limits that shaped the command: sum of 2^place in {' '.join(LIMITS)}",
    "expert": "who was followed of the mixture",
    "replanned": "1 where a new plan came",
    "plan_age_s": "since the tick whose window the plan was made of",
    "infer_s": "that the new plan took",
    "observation_age_s": "since the newest sample that the plan was made of",
}


class Decisions:
    """Rows of COLUMNS, oldest first."""

    def __init__(self, rate_hz: float):
        # twice as many as are kept, so that none that is being fetched is overwritten
        self._most = math.ceil(KEPT_S * rate_hz)
        self._rows = np.full((2 * self._most, len(COLUMNS)), np.nan)
        self._noted = self._fetched = 0

    def note(self, result: TickResult) -> None:
        """Add a tick; not one at which nothing was sent nor wished."""
        output = result.output
        if output is None and result.wish is None:
            return
        seconds, nanoseconds = divmod(result.tick_ns, NS_PER_S)
        source = reason = limited = math.nan
        if output is not None:
            limited = sum(1 << LIMITS.index(name) for name in output.limited)
            if output.source is not None:
                source = PRECEDENCE.index(output.source)
            if output.reason is not None:
                reason = REASONS[output.reason]
        seen = result.seen
        self._rows[self._noted % len(self._rows)] = (
            seconds,
            nanoseconds,
            output is not None,
            source,
            reason,
            limited,
            math.nan if result.expert is None else result.expert,
            result.replanned,
            math.nan if seen is None else (result.tick_ns - seen.tick_ns) * 1e-9,
            math.nan if result.infer_s is None else result.infer_s,
            math.nan if seen is None else (result.tick_ns - seen.stamps_ns[-1].max()) * 1e-9,
        )
        self._noted += 1

    def fetch(self) -> np.ndarray:
        """(N, columns) what was noted since it was fetched last."""
        noted = self._noted
        first = max(self._fetched, noted - self._most)
        self._fetched = noted
        return self._rows[np.arange(first, noted) % len(self._rows)]
