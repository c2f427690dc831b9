"""Rejects: messages of sources that were not followed, for people, and when they are a stop."""

from __future__ import annotations

from typing import NamedTuple

# Why a message is not followed, and what is told of its stamp.
KINDS = {
    "late": "stamped {:.3f} s before it came",
    "ahead": "stamped {:.3f} s after it came",
    "out_of_order": "stamped {:.3f} s before one that came sooner",
    "broken": "no target that can be read, of the right size and finite",
}


class Reject(NamedTuple):
    """kind: of KINDS; off_ns: by how much its stamp is."""

    source: str
    kind: str
    off_ns: int
    received_ns: int

    def __str__(self) -> str:
        return f"{self.source}: {KINDS[self.kind].format(self.off_ns * 1e-9)}"


class Rejects:
    """counts: of each kind; last: the newest, None before there is one."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(KINDS, 0)
        self.last: Reject | None = None

    def note(self, source: str, kind: str, off_ns: int, now_ns: int) -> None:
        """One more."""
        self.counts[kind] += 1
        self.last = Reject(source, kind, off_ns, now_ns)

    def told(self, now_ns: int) -> dict[str, object]:
        """Values for diagnostics."""
        last = self.last
        age_s = "" if last is None else f"{(now_ns - last.received_ns) * 1e-9:.3f}"
        return {**self.counts, "last_reject": str(last or ""), "last_reject_age_s": age_s}


class Misdated:
    """Messages of one source whose stamps are too far from now, since its last usable one.

    One may be, or a burst that was held up. Who for `most_ns`, as long as a message is good for,
    says nothing else has a clock of his own.
    """

    def __init__(self, most_ns: int):
        self._most_ns = most_ns
        self._since_ns: int | None = None
        self._last_ns = 0

    def forget(self) -> None:
        """A usable one came."""
        self._since_ns = None

    def note(self, now_ns: int) -> None:
        """One came; after a pause it is the first again."""
        if self._since_ns is None or now_ns - self._last_ns > self._most_ns:
            self._since_ns = now_ns
        self._last_ns = now_ns

    def lasts(self, now_ns: int) -> bool:
        """Whether he speaks, and has for too long said nothing else."""
        if self._since_ns is None or now_ns - self._last_ns > self._most_ns:
            return False
        return self._last_ns - self._since_ns >= self._most_ns
