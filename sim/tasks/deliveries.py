"""Deliveries: which thing came to which place first, as it is now."""

from __future__ import annotations


class Deliveries:
    """Watches `things` things, each of which may be at one of several places, or at none."""

    def __init__(self, things: int):
        self._steps = 0
        self._at: list[int | None] = [None] * things
        self._since = [0] * things

    def watch(self, at: list[int | None]) -> int:
        """Take in where each thing is at this step; returns how many different places are taken."""
        self._steps += 1
        for thing, place in enumerate(at):
            if place != self._at[thing]:
                self._at[thing], self._since[thing] = place, self._steps
        return len({place for place in at if place is not None})

    def first(self) -> tuple[int, int] | None:
        """The thing that has been at its place for longest, and that place; None before any is."""
        there = [
            (since, thing, place)
            for thing, (since, place) in enumerate(zip(self._since, self._at, strict=True))
            if place is not None
        ]
        return min(there)[1:] if there else None
