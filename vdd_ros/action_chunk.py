"""ActionChunk: a plan of H steps on the time axis."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class ActionChunk(NamedTuple):
    """steps: (H, Da) [unit]; step h is the command for start_ns + h * period_ns."""

    steps: np.ndarray
    start_ns: int
    period_ns: int

    @property
    def end_ns(self) -> int:
        """When the last step is due."""
        return self.start_ns + (len(self.steps) - 1) * self.period_ns

    def exhausted(self, time_ns: int) -> bool:
        """Whether nothing is planned beyond `time_ns`."""
        return time_ns >= self.end_ns

    def at(self, time_ns: int) -> np.ndarray:
        """(Da,) the command at a time: linear between steps, the ends hold."""
        if time_ns <= self.start_ns:
            return self.steps[0]
        step, rest_ns = divmod(time_ns - self.start_ns, self.period_ns)
        if step >= len(self.steps) - 1:
            return self.steps[-1]
        part = rest_ns / self.period_ns
        return (1.0 - part) * self.steps[step] + part * self.steps[step + 1]

    def seen_from(self, time_ns: int) -> np.ndarray:
        """(H, Da) what this plan says for the times of a plan that starts at `time_ns`."""
        last = len(self.steps) - 1
        place = (time_ns - self.start_ns) / self.period_ns + np.arange(last + 1)
        place = np.minimum(np.maximum(place, 0.0), last)
        step = np.minimum(place.astype(int), max(last - 1, 0))
        part = (place - step)[:, None]
        return (1.0 - part) * self.steps[step] + part * self.steps[np.minimum(step + 1, last)]
