"""How far the clock of another host is off: asked for its time, as NTP does (RFC 5905, section 8).

    offset = ((t1 - t0) + (t2 - t3)) / 2        t0 asked, t3 answered: by our clock
    delay  = (t3 - t0) - (t2 - t1)              t1 asked, t2 answered: by the other's

The offset is wrong by at most half the delay, whichever way the message took longer. Of several
questions the one with the least delay tells most.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import NamedTuple

from vdd_ros.errors import UserError

NS = 1e-9
LONGEST = 1000  # characters of a question or an answer
LATEST_NS = 1 << 62
SPEC = re.compile(r"([A-Za-z0-9_.-]+):(/?[A-Za-z_][A-Za-z0-9_]*(?:/[A-Za-z_][A-Za-z0-9_]*)*)")


class Exchange(NamedTuple):
    """One question and its answer, t0 to t3 above [ns]."""

    asked_ns: int
    heard_ns: int
    answered_ns: int
    received_ns: int

    @property
    def delay_ns(self) -> int:
        return (self.received_ns - self.asked_ns) - (self.answered_ns - self.heard_ns)


class ClockOffset(NamedTuple):
    """offset_s: by how much the other clock is ahead; within_s: that it may be wrong by."""

    offset_s: float
    within_s: float

    def __str__(self) -> str:
        way = "ahead" if self.offset_s >= 0.0 else "behind"
        return f"{abs(self.offset_s):.4f} s {way} (within {self.within_s:.4f})"


def told_times(text: str, names: Iterable[str]) -> tuple[str, tuple[int, ...]]:
    """Who asked, `from`, and the times of these names [ns], as a question or an answer has them in
    JSON; raises ValueError for what anybody else may have written."""
    if len(text) > LONGEST:
        raise ValueError(f"it is longer than {LONGEST} characters")
    try:
        told = json.loads(text)
        who, times = told["from"], tuple(told[name] for name in names)
    except (KeyError, TypeError, RecursionError):
        raise ValueError("it does not tell what a clock node tells") from None
    if not isinstance(who, str) or not all(type(one) is int for one in times):
        raise ValueError("its times are no whole numbers, or nobody asked")
    if any(abs(one) > LATEST_NS for one in times):
        raise ValueError("its times are no times")
    return who, times


def clock_offset(exchanges: Iterable[Exchange]) -> ClockOffset:
    """Of one or more exchanges, by that of the least delay."""
    best = min(exchanges, key=lambda one: one.delay_ns)
    asked = best.heard_ns - best.asked_ns
    answered = best.answered_ns - best.received_ns
    return ClockOffset((asked + answered) / 2 * NS, max(0, best.delay_ns) / 2 * NS)


def clock_fault(host: str, offset: ClockOffset, most_s: float) -> str | None:
    """Why stamps of a host cannot be compared with ours, None where its clock is within bounds."""
    if abs(offset.offset_s) + offset.within_s <= most_s:
        return None
    if abs(offset.offset_s) - offset.within_s > most_s:
        return (
            f"the clock of {host} is {offset} (at most {most_s:g}): let chrony keep both to one "
            f"time server, or this host to that one"
        )
    return (
        f"whether the clock of {host} is within {most_s:g} s cannot be told, it is {offset}: make "
        f"the way there faster, or recording.clock_offset_s of the contract larger"
    )


def clock_nodes(text: str) -> dict[str, str]:
    """`host:/its/clock_node other:/another`, as a map; raises UserError for anything else."""
    found = {}
    for word in text.split():
        match = SPEC.fullmatch(word)
        if match is None or match[1] in found:
            raise UserError(
                f"clocks has {word!r}: write HOST:NODE, such as robot:/clock_node, each host once, "
                f"separated by spaces"
            )
        found[match[1]] = match[2]
    return found


class ClockJumps:
    """Whether a clock leapt since it was looked at last, by one that does not."""

    LEAST_S = 0.1  # more than a clock is ever slewed by between two looks, less than a stream's age

    def __init__(self) -> None:
        self._last: tuple[int, int] | None = None

    def look(self, ros_ns: int, steady_ns: int) -> str | None:
        """Both clocks at one moment [ns]; says what happened, None for nothing."""
        last, self._last = self._last, (ros_ns, steady_ns)
        if last is None:
            return None
        leap_s = ((ros_ns - last[0]) - (steady_ns - last[1])) * NS
        if abs(leap_s) < self.LEAST_S:
            return None
        way = "forward" if leap_s > 0 else "back"
        return f"the clock jumped {way} by {abs(leap_s):.3f} s"
