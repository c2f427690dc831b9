"""BeatWatch: whether another thread goes on, told by a number that it changes as it does."""

from __future__ import annotations


class BeatWatch:
    """longest_look_ns: what counts at most from one look to the next. Where the whole process stood
    still, or somebody held the interpreter, who looks did not go on either.
    """

    def __init__(self, longest_look_ns: int):
        self.still_ns = 0  # for how long the other has not changed its number while one looked
        self._longest_look_ns = longest_look_ns
        self._beat: int | None = None
        self._seen_ns = 0

    def see(self, beat: int, now_ns: int) -> None:
        """The other's number at `now_ns` of a steady clock."""
        passed_ns = min(now_ns - self._seen_ns, self._longest_look_ns)
        self.still_ns = self.still_ns + passed_ns if beat == self._beat else 0
        self._beat, self._seen_ns = beat, now_ns
