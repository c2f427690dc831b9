"""LastCommand: where an arm was last sent, by whichever of the controls of one node."""

from __future__ import annotations

import time

import numpy as np


class LastCommand:
    """Each control takes note of what it sends; who begins next goes on from there, whoever it was
    and however that run ended."""

    def __init__(self) -> None:
        self.held: tuple[np.ndarray, int] | None = None  # as `CommandGate.hold` takes it
        self.real_ns = 0  # when it left, by a steady clock

    def note(self, position: np.ndarray, tick_ns: int) -> None:
        """A command (Da,) [unit] has left at a tick."""
        self.held, self.real_ns = (position, tick_ns), time.monotonic_ns()
