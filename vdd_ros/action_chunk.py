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
        return self._at(np.array([time_ns]))[0]

    def ahead(self, time_ns: int) -> np.ndarray:
        """(h, Da) what this plan says for `time_ns` and every period after it, to its end."""
        return self._at(np.arange(time_ns, self.end_ns + 1, self.period_ns))

    def _at(self, times_ns: np.ndarray) -> np.ndarray:
        return _between(len(self.steps), times_ns - self.start_ns, self.period_ns) @ self.steps


class ChunkEnsemble:
    """Plans that fade into one another, each with the time constant of the ensemble.

    A plan's share grows as 1 - exp(-age / time constant) at the cost of those before it, so that a
    new plan is no jump. With a plan at every tick this is temporal ensembling (Zhao et al. 2023,
    section 4.2). A time constant of 0 leaves the latest plan alone.
    """

    REMEMBERED = 4  # time constants; what was replaced longer ago counts less than 2 %

    def __init__(self, time_constant_ns: int, tick_ns: int):
        self.time_constant_ns, self.tick_ns = time_constant_ns, tick_ns
        self._period_ns = 0
        # Plans are written one after the other; those from first to end count. At every tick, that
        # takes a fraction of the time of appending to arrays.
        self._first = self._end = 0
        # when each begins, and since when it counts
        self._starts_ns, self._taken_ns = np.zeros((2, 0), np.int64)
        self._steps = np.zeros((0, 0, 0))  # (plans, H, Da) [unit]

    def add(self, chunk: ActionChunk, now_ns: int) -> None:
        """Take the newest plan, which may have begun before now, and forget those that no longer
        count."""
        if self._end == len(self._steps):
            self._make_room(chunk.steps.shape)
        self._steps[self._end] = chunk.steps
        self._starts_ns[self._end], self._taken_ns[self._end] = chunk.start_ns, now_ns
        self._period_ns = chunk.period_ns
        self._end += 1
        replaced_ns = now_ns - self.REMEMBERED * self.time_constant_ns  # so long ago
        while self._first + 1 < self._end and self._taken_ns[self._first + 1] <= replaced_ns:
            self._first += 1

    def at(self, time_ns: int) -> np.ndarray:
        """(Da,) the command at a time. Raises ValueError before the first plan."""
        if not self._end:
            raise ValueError("no plan was added yet")
        live = slice(self._first, self._end)
        steps = self._steps[live]
        weights = _between(steps.shape[1], time_ns - self._starts_ns[live], self._period_ns)
        weights *= self._shares(time_ns + self.tick_ns - self._taken_ns[live])[:, None]
        return weights.reshape(-1) @ steps.reshape(weights.size, -1)

    def _shares(self, ages_ns: np.ndarray) -> np.ndarray:
        """(M,) of plans in the command, by how long each has counted."""
        shares = np.ones(len(ages_ns))  # with those before it, of each plan
        if len(ages_ns) > 1:
            before = np.exp(-ages_ns[1:] / self.time_constant_ns)
            shares[:-1] = before
            shares[1:] -= before
        return shares

    def _make_room(self, shape: tuple[int, ...]) -> None:
        """Move what counts to the beginning of arrays twice as long."""
        live = slice(self._first, self._end)
        count = self._end - self._first
        starts_ns, taken_ns, steps = self._starts_ns[live], self._taken_ns[live], self._steps[live]
        room = 2 * (count + 8)
        self._starts_ns, self._taken_ns = np.zeros((2, room), np.int64)
        self._steps = np.zeros((room, *shape))
        if count:
            self._starts_ns[:count], self._taken_ns[:count] = starts_ns, taken_ns
            self._steps[:count] = steps
        self._first, self._end = 0, count


def _between(steps: int, since_ns: np.ndarray, period_ns: int) -> np.ndarray:
    """(N,) times since a plan of so many steps began -> (N, steps) how much of each step makes the
    command then: linear between two of them, the ends hold."""
    place = (since_ns / period_ns).clip(0.0, steps - 1.0)
    return np.maximum(1.0 - np.abs(place[:, None] - np.arange(steps)), 0.0)
