"""DiskWatch: how fast a disk fills while an episode is recorded, and when that has to end."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

WINDOW_NS = 5_000_000_000  # over which a rate is told: pictures come to the disk in lumps
SHORTEST_NS = 1_000_000_000
# A look a second, three seconds of pictures that wait for the disk, and as much again to end well.
RESERVE_S = 10.0
SMALLEST_FREE_BYTES = 256 * 1024 * 1024  # of a disk that something is to be recorded on


class Look(NamedTuple):
    """steady_ns: of a clock that nobody sets; written: of the recording [bytes]; free: of the
    disk."""

    steady_ns: int
    written: int
    free: int


class DiskWatch:
    """The faster of what is written and what vanishes, as others may write to the same disk.

    least_free: bytes of room below which no recording begins.
    """

    def __init__(self, least_free: int):
        self.least_free = least_free
        self._looks: deque[Look] = deque()
        self._before = 0.0  # of the recording before, as it was last [bytes/s]

    def begin(self) -> None:
        """What is seen from here on is of a new recording."""
        self._before = self.written_rate
        self._looks.clear()

    def note(self, look: Look) -> None:
        """What was seen; one older than the window is kept, so that there is a rate."""
        self._looks.append(look)
        while len(self._looks) > 2 and look.steady_ns - self._looks[1].steady_ns >= WINDOW_NS:
            self._looks.popleft()

    @property
    def written_rate(self) -> float:
        """Of the recording [bytes/s]; that of the one before until this one has one, and 0 before
        the first."""
        if (seconds := self._seconds) is None:
            return self._before
        return max(0, self._looks[-1].written - self._looks[0].written) / seconds

    @property
    def rate(self) -> float:
        """At which the disk fills [bytes/s]."""
        if (seconds := self._seconds) is None:
            return self._before
        return max(self.written_rate, (self._looks[0].free - self._looks[-1].free) / seconds)

    @property
    def _seconds(self) -> float | None:
        """Over which there is a rate."""
        span_ns = self._looks[-1].steady_ns - self._looks[0].steady_ns if self._looks else 0
        return span_ns * 1e-9 if span_ns >= SHORTEST_NS else None

    @property
    def reserve(self) -> float:
        """Bytes that have to be free for a recording to go on."""
        return max(self.least_free / 2, RESERVE_S * self.rate)

    @property
    def least_to_begin(self) -> float:
        """Bytes that have to be free for one to begin, whatever others did meanwhile."""
        return max(self.least_free, 2 * RESERVE_S * self.written_rate)

    def seconds(self, free: int) -> float | None:
        """For how long a recording can go on as it does, None where nothing is written."""
        return max(0.0, free - self.reserve) / self.rate if self.rate else None
