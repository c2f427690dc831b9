"""Means and standard deviations of arrays that come in parts, which are asked for again and again.

Of a single part they are numpy's own, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

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

    def added(of: Callable[[int, np.ndarray], Any]) -> list[Any]:
        found = ([of(*numbered) for numbered in enumerate(arrays)] for arrays in parts())
        return [sum(column) for column in zip(*found, strict=True)]

    numbers = added(lambda k, one: math.prod(one.shape[axis] for axis in axes[k]))
    totals = added(lambda k, one: one.sum(axes[k]))
    means = [total / number for total, number in zip(totals, numbers, strict=True)]
    squares = added(lambda k, one: np.square(one - means[k]).sum(axes[k]))
    return [
        Moments(number, mean, np.sqrt(square / number))
        for number, mean, square in zip(numbers, means, squares, strict=True)
    ]
