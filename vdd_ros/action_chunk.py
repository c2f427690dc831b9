"""ActionChunk: a plan of H steps on the time axis; ChunkEnsemble: several of them, averaged."""

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
        return _between(self.steps[None], np.array([time_ns - self.start_ns]), self.period_ns)[0]

    def ahead(self, time_ns: int) -> np.ndarray:
        """(h, Da) what this plan says for `time_ns` and every period after it, to its end."""
        times = np.arange(time_ns, self.end_ns + 1, self.period_ns) - self.start_ns
        same = np.broadcast_to(self.steps, (len(times), *self.steps.shape))
        return _between(same, times, self.period_ns)


class ChunkEnsemble:
    """Plans that fade into one another, each with the time constant of the ensemble.

    A plan's share grows as 1 - exp(-age / time constant) at the cost of those before it, so that a
    new plan is no jump. With a plan at every tick this is temporal ensembling (Zhao et al. 2023,
    section 4.2). A time constant of 0 leaves the latest plan alone.
    """

    REMEMBERED = 4  # time constants; what was replaced longer ago counts less than 2 %

    def __init__(self, time_constant_ns: int, tick_ns: int):
        self.time_constant_ns, self.tick_ns = time_constant_ns, tick_ns
        self._starts_ns = np.zeros(0, np.int64)  # (M,), ascending; arrays, as a tick reads them all
        self._taken_ns = np.zeros(0, np.int64)  # (M,) since when each counts
        self._steps: np.ndarray | None = None  # (M, H, Da) [unit]
        self._period_ns = 0

    def add(self, chunk: ActionChunk, now_ns: int) -> None:
        """Take the newest plan, which may have begun before now, and forget those that no longer
        count."""
        starts_ns = np.append(self._starts_ns, chunk.start_ns)
        taken_ns = np.append(self._taken_ns, now_ns)
        oldest_ns = now_ns - self.REMEMBERED * self.time_constant_ns
        forgotten = np.count_nonzero(taken_ns[1:] <= oldest_ns)  # replaced so long ago
        self._taken_ns = taken_ns[forgotten:]
        before = chunk.steps[None][:0] if self._steps is None else self._steps
        self._steps = np.concatenate([before[forgotten:], chunk.steps[None]])
        self._starts_ns, self._period_ns = starts_ns[forgotten:], chunk.period_ns

    def at(self, time_ns: int) -> np.ndarray:
        """(Da,) the command at a time. Raises ValueError before the first plan."""
        if self._steps is None:
            raise ValueError("no plan was added yet")
        commands = _between(self._steps, time_ns - self._starts_ns, self._period_ns)
        if len(commands) == 1:
            return commands[0]
        ages = time_ns + self.tick_ns - self._taken_ns
        before = np.exp(-ages / self.time_constant_ns)  # share of all plans before each one
        before[0] = 0.0
        return (np.append(before[1:], 1.0) - before) @ commands


def _between(steps: np.ndarray, since_ns: np.ndarray, period_ns: int) -> np.ndarray:
    """(M, H, Da) plans, (M,) times since each began -> (M, Da) linear between steps, ends hold."""
    last = steps.shape[1] - 1
    step, rest_ns = np.divmod(np.clip(since_ns, 0, last * period_ns), period_ns)
    row, part = np.arange(len(steps)), (rest_ns / period_ns)[:, None]
    return (1.0 - part) * steps[row, step] + part * steps[row, np.minimum(step + 1, last)]
