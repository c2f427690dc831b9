"""Timing: several calls side by side, in turns, so that whatever slows the machine slows all."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, TypeVar

import numpy as np

Name = TypeVar("Name")

WARM_UP = 200
# Thousands of calls this slow would take minutes, and their median needs no thousands.
SLOW_NS = 5_000_000
SLOW_SHARE = 25


class Timing(NamedTuple):
    """samples_us: (blocks, calls per block), one call each; warm_up: calls made before."""

    samples_us: np.ndarray
    warm_up: int

    @property
    def block_p50_us(self) -> np.ndarray:
        """(blocks,)"""
        return np.median(self.samples_us, axis=1)

    def percentile_us(self, percent: float) -> float:
        """Over all calls of all blocks."""
        return float(np.percentile(self.samples_us, percent))


def p50_ratio(numerator: Timing, denominator: Timing) -> float:
    """Median over blocks of the ratio of the blocks' medians."""
    return float(np.median(numerator.block_p50_us / denominator.block_p50_us))


def in_turns(
    calls: Mapping[Name, Callable[[], object]],
    clock_ns: Callable[[], int],
    blocks: int,
    calls_per_block: int,
) -> dict[Name, Timing]:
    """Time every call in each of `blocks` blocks; the one that begins changes from block to block.

    Calls slower than 5 ms get a 25th of the warm-up and of the calls.
    """
    names = list(calls)
    counts, warm_ups = {}, {}
    for name, call in calls.items():
        first = _sample(call, clock_ns, max(1, WARM_UP // SLOW_SHARE))
        is_slow = np.median(first) > SLOW_NS
        counts[name] = max(1, calls_per_block // SLOW_SHARE) if is_slow else calls_per_block
        rest = 0 if is_slow else WARM_UP - len(first)
        warm_ups[name] = len(first) + len(_sample(call, clock_ns, rest))
    samples: dict[Name, list[np.ndarray]] = {name: [] for name in names}
    with _no_garbage_collection():
        for block in range(blocks):
            turn = block % len(names)
            for name in names[turn:] + names[:turn]:
                samples[name].append(_sample(calls[name], clock_ns, counts[name]))
    return {name: Timing(np.array(samples[name]) * 1e-3, warm_ups[name]) for name in names}


@contextlib.contextmanager
def pinned_to_one_core() -> Iterator[int | None]:
    """Keep the calling thread on one core: its number, None where the system does not permit it."""
    permitted = os.sched_getaffinity(0)
    core = max(permitted)  # interrupts are mostly served by the first
    try:
        os.sched_setaffinity(0, {core})
    except OSError:
        yield None
        return
    try:
        yield core
    finally:
        os.sched_setaffinity(0, permitted)


def _sample(call: Callable[[], object], clock_ns: Callable[[], int], count: int) -> np.ndarray:
    """(count,) [ns]"""
    took = np.empty(count)
    for index in range(count):
        start = clock_ns()
        call()
        took[index] = clock_ns() - start
    return took


@contextlib.contextmanager
def _no_garbage_collection() -> Iterator[None]:
    gc.collect()
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
