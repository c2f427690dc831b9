"""Still poses: when an arm stands, and whether it stands somewhere new."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np

from vdd_ros.contract import Contract

STILL_NS = 500_000_000  # that nothing moves, before a pose counts
STILL_SHARE = 5e-4  # of a joint's range, within which it stands
APART = 0.02  # of its range, by which one joint at least has to be elsewhere to be another pose
MOST = 4096  # joint states that a pose is the median of; of an arm that stands for long, the newest


class Still(NamedTuple):
    """since_ns, until_ns: stamps between which nothing moved; position: (Da,) median [unit]."""

    since_ns: int
    until_ns: int
    position: np.ndarray


class StillWatch:
    """Told every joint state; knows when the arm stands, and where it stood at poses taken."""

    def __init__(self, contract: Contract):
        self._bound, self._apart = STILL_SHARE * contract.span, APART * contract.span
        self._samples: deque[tuple[int, np.ndarray]] = deque(maxlen=MOST)
        self._least = self._most = np.zeros(0)
        self._taken: list[np.ndarray] = []

    def see(self, stamp_ns: int, position: np.ndarray) -> None:
        """Take the next joint state, (Da,) [unit]."""
        if self._samples and stamp_ns <= self._samples[-1][0]:
            return
        self._samples.append((stamp_ns, position))
        self._least = np.minimum(self._least, position) if self._least.size else position
        self._most = np.maximum(self._most, position) if self._most.size else position
        if (self._most - self._least > self._bound).any():  # it stands from here on at the earliest
            self._samples.clear()
            self._samples.append((stamp_ns, position))
            self._least = self._most = position

    @property
    def still(self) -> Still | None:
        """Where it stands, once it has for long enough."""
        if not self._samples:
            return None
        since_ns, until_ns = self._samples[0][0], self._samples[-1][0]
        if until_ns - since_ns < STILL_NS:
            return None
        return Still(since_ns, until_ns, np.median([one for _, one in self._samples], axis=0))

    @property
    def still_elsewhere(self) -> Still | None:
        """As `still`, but only where no pose was taken yet."""
        found = self.still
        if found is None:
            return None
        near = (np.abs(found.position - one) < self._apart for one in self._taken)
        return None if any(one.all() for one in near) else found

    def take(self, still: Still) -> None:
        """A pose was taken there."""
        self._taken.append(still.position)
