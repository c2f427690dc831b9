"""Beside: what is noted of clocks while an episode is recorded, beside its streams."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vdd_ros.clock_offset import ClockOffset, clock_fault
from vdd_ros.manifest import ClockSummary
from vdd_ros.recording_limits import RecordingLimits
from vdd_ros.timing_verdict import Finding


class Beside:
    """Clocks of other hosts are noted at any time; an episode begins with the last that is known of
    each."""

    def __init__(self) -> None:
        self._offsets: dict[str, list[ClockOffset]] = {}
        self._jumps: list[str] = []
        self._silent: set[str] = set()  # hosts

    def begin(self) -> None:
        """What is noted from here on is of a new episode."""
        self._offsets = {host: offsets[-1:] for host, offsets in self._offsets.items()}
        self._jumps, self._silent = [], set()

    def note_clock(self, host: str, offset: ClockOffset) -> None:
        """The clock of another host was measured."""
        self._offsets.setdefault(host, []).append(offset)

    def note_jump(self, told: str) -> None:
        """The recorder's own clock leapt: what happened, as a clause."""
        self._jumps.append(told)

    def note_silence(self, host: str) -> None:
        """The clock of another host does not answer any more; that holds for the episode, also
        where it is heard again."""
        self._silent.add(host)

    def findings(self, limits: RecordingLimits) -> Iterator[Finding]:
        """What is wrong with the clocks of the episode."""
        for told in self._jumps:
            yield Finding("FAIL", f"{told} while it was recorded: stamps before and after differ")
        for host, offsets in self._offsets.items():
            worst = max(offsets, key=lambda one: abs(one.offset_s) + one.within_s)
            if fault := clock_fault(host, worst, limits.most_clock_offset_s):
                yield Finding("FAIL", fault)
        for host in sorted(self._silent):
            yield Finding(
                "WARN",
                f"the clock of {host} did not answer for a while: how far off it was then, nobody "
                "knows; is clock_node running there?",
            )

    def clocks(self) -> dict[str, ClockSummary]:
        """By host."""
        return {host: _summary(offsets) for host, offsets in self._offsets.items()}


def _summary(offsets: list[ClockOffset]) -> ClockSummary:
    found = np.array([one.offset_s for one in offsets])
    return ClockSummary(
        measured=len(offsets),
        offset_s=round(float(np.median(found)), 6),
        least_s=round(float(found.min()), 6),
        most_s=round(float(found.max()), 6),
        within_s=round(max(one.within_s for one in offsets), 6),
    )
