"""Means and standard deviations of arrays that come in parts, which are asked for again and again.

Of a single part they are numpy's own, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np


class Moments(NamedTuple):
    """number: of what was averaged over."""

    number: int
    mean: np.ndarray
    std: np.ndarray


def moments(
    parts: Callable[[], Iterator[tuple[np.ndarray, ...]]], axes: Sequence[tuple[int, ...]]
) -> list[Moments]:
    """Of the arrays of a part, each over axes of its own, the first included; parts: gives them
    all from the beginning, each time it is called."""

    def added(of: Callable[[int, np.ndarray], tuple]) -> list[tuple]:
        found = ([of(*numbered) for numbered in enumerate(arrays)] for arrays in parts())
        return [tuple(map(sum, zip(*column, strict=True))) for column in zip(*found, strict=True)]

    def total(k: int, one: np.ndarray) -> tuple[int, np.ndarray]:
        return math.prod(one.shape[axis] for axis in axes[k]), one.sum(axes[k])

    totals = added(total)
    means = [summed / number for number, summed in totals]
    squares = added(lambda k, one: (np.square(one - means[k]).sum(axes[k]),))
    return [
        Moments(number, mean, np.sqrt(square / number))
        for (number, _), mean, (square,) in zip(totals, means, squares, strict=True)
    ]
