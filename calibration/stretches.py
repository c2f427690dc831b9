"""Stretches of a robot that works, in place of episodes: one for each place where it stood.

What a controller leaves (gravity, friction) is another in each pose. A robot that is parked tells
that of one pose, however long it stands there, and nothing of how the offsets of many differ.
"""

from __future__ import annotations

import numpy as np

from vdd_ros.calibration.leader_drift import RestOffset
from vdd_ros.calibration.still import APART
from vdd_ros.contract import Contract
from vdd_ros.episode import StreamData

REMEMBERED = 60  # places; what was longer ago is not now


class Samples:
    """What came of each stream, for as long as a stretch is.

    Streams come in any order: a command without a stamp has that of its arrival, newer than that of
    a joint state that was measured before and comes after it. So what is a little older than the
    first sample is of the same stretch; what is older by a whole one is of another time.
    """

    def __init__(self, length_ns: int):
        self._length_ns = length_ns
        self._found: dict[str, list[tuple[int, np.ndarray]]] = {}
        self._begun_ns: int | None = None

    def add(self, name: str, stamp_ns: int, position: np.ndarray) -> dict[str, StreamData]:
        """position: (Da,) [unit]. Returns the stretch by stream if this ends it, else nothing."""
        self._found.setdefault(name, []).append((stamp_ns, position))
        if self._begun_ns is None:
            self._begun_ns = stamp_ns
        if abs(stamp_ns - self._begun_ns) <= self._length_ns:
            return {}
        ended, self._found, self._begun_ns = self._found, {}, None
        return {of: _stream(samples) for of, samples in ended.items()}


def _stream(samples: list[tuple[int, np.ndarray]]) -> StreamData:
    stamps_ns, positions = zip(*samples, strict=True)
    stamps = np.array(stamps_ns, dtype=np.int64)
    return StreamData(stamps, stamps, {"position": np.array(positions)})


class Stretches:
    """found: the newest of each place, oldest first."""

    def __init__(self, contract: Contract):
        self._apart = APART * contract.span
        self._places: list[np.ndarray] = []
        self.found: list[RestOffset] = []

    def add(self, place: np.ndarray, offset: RestOffset) -> None:
        """place: (Da,) where joints mostly were in the stretch [unit]; takes the place of what was
        told there before."""
        for index, known in enumerate(self._places):
            if (np.abs(place - known) < self._apart).all():
                del self._places[index], self.found[index]
                break
        self._places.append(place)
        self.found.append(offset)
        del self._places[:-REMEMBERED], self.found[:-REMEMBERED]
