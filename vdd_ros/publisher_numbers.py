"""PublisherNumbers: messages that publishers counted and that never came."""

from __future__ import annotations

from typing import NamedTuple


class Origin(NamedTuple):
    """Who published a message, and as which of its own: publishers number theirs without a gap."""

    publisher: bytes
    number: int


class PublisherNumbers:
    """The gaps in what came on each stream since `begin`. What a publisher sent before its first
    message here is nobody's loss."""

    def __init__(self) -> None:
        self.missing: dict[str, int] = {}  # by stream
        self._newest: dict[tuple[str, bytes], int] = {}

    def begin(self) -> None:
        """Whatever comes from here on is of a new recording."""
        self.missing, self._newest = {}, {}

    def note(self, stream: str, origin: Origin) -> None:
        """A message came; one that was overtaken is not missing any more."""
        key = (stream, origin.publisher)
        newest = self._newest.get(key, origin.number - 1)
        step = origin.number - newest - 1 if origin.number > newest else -1
        if step:
            self.missing[stream] = max(0, self.missing.get(stream, 0) + step)
        self._newest[key] = max(newest, origin.number)
