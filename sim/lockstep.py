"""Lockstep: simulated time waits for the command that answers each control tick."""

from __future__ import annotations


class Lockstep:
    """Says when simulated time may go on. Times are monotonic real time [s], given by the caller.

    It waits only while commands come: after one unanswered tick it lets time go on until the next
    command. An arm that nobody drives is therefore not slowed down.
    """

    def __init__(self, timeout_s: float):
        self.timeout_s = timeout_s
        self.unanswered = 0  # ticks whose command did not come in time
        self.release()

    def release(self) -> None:
        """Wait for nothing until the next command."""
        self._engaged = False
        self._sent_s: float | None = None

    def tick_sent(self, now_s: float) -> None:
        """The state at a control tick went out; from here on its command is waited for."""
        self._sent_s = now_s if self._engaged else None

    def answered(self) -> bool:
        """A command came; True where it was waited for, so that time goes on with it."""
        was_waiting = self._sent_s is not None
        self._engaged, self._sent_s = True, None
        return was_waiting

    def may_go_on(self, now_s: float) -> bool:
        """Whether nothing is waited for, or it has been waited for too long."""
        if self._sent_s is None:
            return True
        if now_s - self._sent_s < self.timeout_s:
            return False
        self.unanswered += 1
        self.release()
        return True
