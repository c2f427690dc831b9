"""ActionChunk: a plan of H steps on the time axis; ChunkEnsemble: several of them, averaged."""

from __future__ import annotations

from collections import deque
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

    def ahead(self, time_ns: int) -> np.ndarray:
        """(h, Da) what this plan says for `time_ns` and every period after it, to its end."""
        count = max(0, (self.end_ns - time_ns) // self.period_ns + 1)
        return np.array([self.at(time_ns + k * self.period_ns) for k in range(count)])


class ChunkEnsemble:
    """Plans that fade into one another, each with the time constant of the ensemble.

    A plan's share grows as 1 - exp(-age / time constant) at the cost of those before it, so that a
    new plan is no jump. With a plan at every tick this is temporal ensembling (Zhao et al. 2023,
    section 4.2). A time constant of 0 leaves the latest plan alone.
    """

    REMEMBERED = 4  # time constants; what was replaced longer ago counts less than 2 %

    def __init__(self, time_constant_ns: int, tick_ns: int):
        self.time_constant_ns, self.tick_ns = time_constant_ns, tick_ns
        self._plans: deque[ActionChunk] = deque()

    def add(self, chunk: ActionChunk) -> None:
        """Take the newest plan and forget those that no longer count."""
        if not self.time_constant_ns:
            self._plans.clear()
        self._plans.append(chunk)
        oldest_ns = chunk.start_ns - self.REMEMBERED * self.time_constant_ns
        while len(self._plans) > 1 and self._plans[1].start_ns <= oldest_ns:
            self._plans.popleft()

    def at(self, time_ns: int) -> np.ndarray:
        """(Da,) the command at a time; at least one plan must have been added."""
        if len(self._plans) == 1:
            return self._plans[0].at(time_ns)
        ages = np.array([time_ns + self.tick_ns - plan.start_ns for plan in self._plans])
        before = np.exp(-ages / self.time_constant_ns)  # share of all plans before each one
        before[0] = 0.0
        shares = np.append(before[1:], 1.0) - before
        return shares @ np.array([plan.at(time_ns) for plan in self._plans])
