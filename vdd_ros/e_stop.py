"""EStop: whether anybody holds the e-stop pressed."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

UNKNOWN = ""  # speakers who are not told apart


class EStop:
    """Each speaker's last word counts: one that lets go does not let go for another. Of UNKNOWN
    ones nobody can let go: a press counts until it is asked to be forgotten."""

    def __init__(self) -> None:
        self._pressing: set[Hashable] = set()

    @property
    def pressed(self) -> bool:
        """Whether at least one speaker's last word was to press it."""
        return bool(self._pressing)

    def say(self, who: Hashable, pressed: bool) -> None:
        """Take a speaker's word."""
        if pressed:
            self._pressing.add(who)
        elif who != UNKNOWN:
            self._pressing.discard(who)

    def forget_others(self, known: Iterable[Hashable]) -> int:
        """Of those who press, forget who is not known any more, or never was; how many are left.

        One that is gone can let go no more. It goes on counting until a person asks for this.
        """
        self._pressing &= set(known) - {UNKNOWN}
        return len(self._pressing)
