"""What a session keeps beside its phase: who saved, whose a note is, and whether a verdict was
seen."""

from __future__ import annotations

import re
from dataclasses import dataclass

MOST_DIGITS = 18  # of a count
LEVEL = re.compile(r"\b(PASS|WARN|FAIL)\b")  # the first in what a recorder says of an episode


@dataclass
class SavedCount:
    """Episodes that were saved while a session lasts, each counted once."""

    total: int = 0
    _told: int | None = None  # by the recorder, since it began
    _ahead: int = 0  # saved here, before the recorder said so

    def add_own(self) -> None:
        """One was saved here."""
        self.total += 1
        self._ahead += 1

    def others(self, told: int) -> int:
        """How many somebody else saved, now that the recorder tells so many since it began; one
        that tells fewer than before is another one, which began at 0."""
        before, self._told = self._told, told
        if before is None:
            self._ahead = 0
            return 0
        new = told - before if told >= before else told
        found = max(0, new - self._ahead)
        self._ahead = max(0, self._ahead - new) if told >= before else 0
        self.total += found
        return found


@dataclass
class NoteInHand:
    """The note that is being written, and whether its episode is still the one in hand."""

    is_written: bool = False
    has_episode: bool = True
    _episode: str = ""  # in hand, as the recorder calls it; empty: not told yet
    _own: str = ""  # that the note is for

    def begin(self) -> None:
        self.is_written, self.has_episode, self._own = True, True, self._episode

    def end(self) -> bool:
        """Whether it is for the episode in hand; one that took no time to write is."""
        kept = self.has_episode or not self.is_written
        self.is_written = False
        return kept

    def follow(self, episode: str) -> None:
        """This episode is in hand."""
        self._episode = episode
        self._own = self._own or episode
        self.has_episode &= self._own == episode

    def lose(self) -> None:
        """No episode is in hand, or a new one that has no name yet."""
        self._episode, self.has_episode = "", False


@dataclass
class SeenVerdict:
    """Of the episode in hand. level: empty where it is not known; is_to_be_seen: whether the key
    that keeps it was pressed before there was one, and only stopped it."""

    level: str = ""
    is_to_be_seen: bool = False
    _shown_s: float = 0.0

    def take(self, told: str) -> None:
        """What the recorder says of the episode."""
        found = LEVEL.search(told)
        self.level = found[1] if found else self.level

    def show(self, now_s: float) -> None:
        """It is on the screen."""
        self._shown_s = now_s

    def is_seen(self, now_s: float, pause_s: float) -> bool:
        """Whether who presses now has had a moment to see it; a key that is held down has not."""
        if not self.is_to_be_seen:
            return True
        before_s, self._shown_s = self._shown_s, now_s
        return now_s - before_s >= pause_s

    @property
    def is_good(self) -> bool:
        return self.level in ("PASS", "WARN")


def whole_number(text: str) -> int | None:
    """A count that a node told as text; None where it told anything else."""
    return int(text) if text.isdecimal() and len(text) <= MOST_DIGITS else None
