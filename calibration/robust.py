"""Location and spread of numbers of which some are wrong: as good as a mean where none is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

FEWEST = 3
HALF_OF_GAUSSIAN = 0.6745  # standard deviations within which half of a Gaussian lies, either side
SMALL_SAMPLE = 5.0
CUT = 4.0  # standard deviations; 6 of 100,000 good numbers lie beyond
ROUNDS = 50
ROUNDING = 1e-12  # of the numbers themselves, below which a spread is none


class Location(NamedTuple):
    """center and scatter (standard deviation of one number) of those that are used (N,)."""

    center: float
    scatter: float
    used: np.ndarray


def location_of(values: np.ndarray) -> Location:
    """(N,) finite numbers, more than half of them good.

    Starts from the shortest interval that holds half of all, which no smaller part of wrong ones
    can move far (Rousseeuw 1984), and goes on to the mean of what lies within CUT scatters, until
    nothing changes. Of Gaussian numbers that is the sample mean, but for 6 in 100,000.
    """
    half = shortest_half(values)
    # the shortest half of few is shorter than that of many (Rousseeuw and Leroy 1987)
    scatter = np.ptp(half) / 2.0 / HALF_OF_GAUSSIAN * (1.0 + SMALL_SAMPLE / len(values))
    floor = ROUNDING * max(1.0, float(np.abs(values).max()))
    center, used = float(half.mean()), np.zeros(len(values), bool)
    for _ in range(ROUNDS):
        inside = np.abs(values - center) <= max(CUT * scatter, floor)
        if (inside == used).all() or inside.sum() < 2:
            break
        used = inside
        center, scatter = float(values[used].mean()), float(values[used].std(ddof=1))
    return Location(center, scatter, used)


def shortest_half(values: np.ndarray) -> np.ndarray:
    """(N // 2 + 1,) of the numbers, sorted: those that lie closest together."""
    ordered = np.sort(values)
    count = len(values) // 2 + 1
    begin = int(np.argmin(ordered[count - 1 :] - ordered[: len(values) - count + 1]))
    return ordered[begin : begin + count]


def spread_of(values: np.ndarray) -> float:
    """Standard deviation of the good ones among (N,) numbers, roughly."""
    return float(np.ptp(shortest_half(values))) / 2.0 / HALF_OF_GAUSSIAN
