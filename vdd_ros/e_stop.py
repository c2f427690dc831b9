"""EStop: whether anybody holds the e-stop pressed."""

from __future__ import annotations

from collections.abc import Hashable, Iterable


class EStop:
    """Each speaker's last word counts: one that lets go does not let go for another."""

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
        else:
            self._pressing.discard(who)

    def forget_others(self, known: Iterable[Hashable]) -> int:
        """Of those who press, forget who is not known any more; how many are left.

        One that is gone can let go no more. It goes on counting until a person asks for this.
        """
        self._pressing &= set(known)
        return len(self._pressing)
