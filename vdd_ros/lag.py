"""Lag: how long after one signal another does the same.

Where the speeds of both correlate best, on a grid of lags, is found first. The lag is then where
the shifted first signal explains most of the second one's variance, at the second one's own stamps:

    seen(t) = a + B led(t - lag) + noise        a, B: least squares, anew for each lag

which is the peak of the cross-correlation between the points of any grid. The standard deviation is
that of the Fisher information, with the noise taken as correlated within blocks of half a second
(the sandwich of Huber 1967, clusters as of Liang and Zeger 1986, few of them as of Bell and
McCaffrey 2002): a controller's errors are no white noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

GRID_S = 0.005
SPEED_STEPS = 8  # of the grid, that a speed is taken over
SHORTEST_S = 1.0  # of both signals, beside the lags looked through
SAMPLES_PER_NUMBER = 8  # of what is fitted
LEAST_CORRELATION = 0.8  # of speeds, below which there is no one lag
REFINED_WITHIN_S = 0.05  # of the peak of the speeds; what smooths a signal moves the two apart
RIVAL = 0.9  # of the best correlation, that another lag may have beyond a valley
VALLEY = 0.5  # of the best correlation, below which a peak has ended
BLOCK_S = 0.5
MOST_OF_ONE_BLOCK = 0.9  # of all information
TOLERANCE_S = 1e-6


class NoLag(ValueError):
    """Why there is no lag to be found, in words."""


class Signal(NamedTuple):
    """times_s: (N,) increasing; values: (N, C), finite."""

    times_s: np.ndarray
    values: np.ndarray

    def at(self, times_s: np.ndarray) -> np.ndarray:
        """(M, C), linear between two samples."""
        columns = (np.interp(times_s, self.times_s, one) for one in self.values.T)
        return np.stack(list(columns), axis=-1)

    def around(self, times_s: np.ndarray) -> np.ndarray:
        """(M, C) the mean of three times a third of a period apart.

        Noise of the samples counts half as much between two of them as at one, so that with equal
        rates lags would be drawn to where all are between two; of such means it hardly differs.
        """
        third_s = float(np.median(np.diff(self.times_s))) / 3.0
        return (self.at(times_s - third_s) + self.at(times_s) + self.at(times_s + third_s)) / 3.0


class Lag(NamedTuple):
    """seconds: by which what is seen is later; std_s: of that; explained: share of the variance of
    what is seen; gain: of what is seen over what led, in the first column of each; blocks: that the
    deviation is of."""

    seconds: float
    std_s: float
    explained: float
    gain: float
    blocks: int


def signal(stamps_ns: np.ndarray, values: np.ndarray, begin_ns: int) -> Signal:
    """Of samples (N,), (N, C) in any order, from a beginning on; those that are not finite, or have
    the stamp of another, are left out."""
    fine = np.isfinite(values).all(axis=1)
    stamps, first = np.unique(stamps_ns[fine], return_index=True)
    return Signal((stamps - begin_ns) * 1e-9, values[fine][first])


def find_lag(
    led: Signal,
    seen: Signal,
    shortest_s: float,
    longest_s: float,
    least: float = LEAST_CORRELATION,
) -> Lag:
    """The lag between two bounds; least: correlation of speeds. Raises NoLag."""
    if min(len(led.times_s), len(seen.times_s)) < 2:
        raise NoLag("there are fewer than two samples: record for longer")
    begin = max(led.times_s[0] + longest_s, seen.times_s[0])
    end = min(led.times_s[-1] + min(shortest_s, 0.0), seen.times_s[-1])
    inside = (seen.times_s >= begin) & (seen.times_s <= end)
    if end - begin < SHORTEST_S or inside.sum() < SAMPLES_PER_NUMBER * (1 + led.values.shape[1]):
        raise NoLag(
            f"both overlap for {max(0.0, end - begin):.2f} s beside the {longest_s:g} s that are "
            f"looked through, with {int(inside.sum())} samples: record for longer"
        )
    lags_s, found = correlations(led, seen, begin, end, shortest_s, longest_s)
    peak_s = lags_s[_peak(lags_s, found, least)]
    seen = Signal(seen.times_s[inside], seen.values[inside])
    return _refined(led, seen, float(peak_s))


def correlations(
    led: Signal,
    seen: Signal,
    begin_s: float,
    end_s: float,
    shortest_s: float,
    longest_s: float,
) -> tuple[np.ndarray, np.ndarray]:
    """(L,) lags [s] of a grid, (L,) how well the speeds agree: the correlation of two columns, of
    more the root of the explained share."""
    lags = np.arange(math.floor(shortest_s / GRID_S), math.ceil(longest_s / GRID_S) + 1)
    times_s = np.arange(begin_s, end_s, GRID_S)
    done = _speeds(seen.at(times_s))
    done -= done.mean(axis=0)
    whole = np.arange(lags[-1] + len(times_s) - lags[0]) * GRID_S + begin_s - lags[-1] * GRID_S
    asked = _speeds(led.at(whole))
    total = float((done**2).sum())
    found = np.zeros(len(lags))
    for index, lag in enumerate(lags):
        place = lags[-1] - lag
        moved = asked[place : place + len(done)]
        moved = moved - moved.mean(axis=0)
        if moved.shape[1] == done.shape[1] == 1:
            scale = math.sqrt(total * float((moved**2).sum()))
            found[index] = float((moved * done).sum()) / scale if scale > 0.0 else 0.0
        elif total > 0.0:
            left = done - moved @ np.linalg.lstsq(moved, done, rcond=None)[0]
            found[index] = math.sqrt(max(0.0, 1.0 - float((left**2).sum()) / total))
    return lags * GRID_S, found


def _speeds(values: np.ndarray) -> np.ndarray:
    """(T, C) on the grid -> (T - SPEED_STEPS, C) differences, in which noise counts little."""
    return values[SPEED_STEPS:] - values[:-SPEED_STEPS]


def _peak(lags_s: np.ndarray, found: np.ndarray, least: float) -> int:
    """The index of the best; raises NoLag where it is none."""
    peak = int(np.argmax(found))
    best = float(found[peak])
    if -found.min() > max(best, least):
        raise NoLag(
            f"it moves the other way than what led, by {found.min():.2f}: is its direction turned?"
        )
    if best > VALLEY and peak in (0, len(found) - 1):
        raise NoLag(
            f"the best lag is at an end of those looked through, {lags_s[peak]:.3f} s: do the "
            "clocks agree?"
        )
    if best < least:
        raise NoLag(
            f"the speeds of both correlate by {best:.2f} at best (at least {least:g}): "
            "what is seen does not do what led"
        )
    low = found < VALLEY * best
    before, after = np.flatnonzero(low[:peak]), np.flatnonzero(low[peak:])
    first = before[-1] if len(before) else 0
    last = peak + (after[0] if len(after) else len(found))
    beyond = np.ones(len(found), dtype=bool)
    beyond[first:last] = False
    if beyond.any() and (rival := float(found[beyond].max())) > RIVAL * best:
        other = lags_s[beyond][int(np.argmax(found[beyond]))]
        raise NoLag(
            f"a lag of {other:.3f} s fits as well as one of {lags_s[peak]:.3f} s ({rival:.2f}, "
            f"{best:.2f}): the motion repeats itself; move in a way that does not"
        )
    return peak


class _Fit(NamedTuple):
    """left: (N, C) what is not explained; weights: (1 + columns, C); columns: (N, 1 + columns)."""

    left: np.ndarray
    weights: np.ndarray
    columns: np.ndarray


def _fit(led: Signal, seen: Signal, lag_s: float) -> _Fit:
    moved = led.around(seen.times_s - lag_s)
    columns = np.concatenate([np.ones((len(moved), 1)), moved], axis=1)
    weights = np.linalg.lstsq(columns, seen.values, rcond=None)[0]
    return _Fit(seen.values - columns @ weights, weights, columns)


def _refined(led: Signal, seen: Signal, around_s: float) -> Lag:
    def left(lag_s: float) -> float:
        return float((_fit(led, seen, lag_s).left ** 2).sum())

    lag_s = _least(left, around_s - REFINED_WITHIN_S, around_s + REFINED_WITHIN_S)
    fit = _fit(led, seen, lag_s)
    std_s, blocks = _deviation(led, seen, lag_s, fit)
    if not math.isfinite(std_s):
        raise NoLag("what is seen looks the same at every lag: move, faster and for longer")
    total = float(((seen.values - seen.values.mean(axis=0)) ** 2).sum())
    explained = 1.0 - float((fit.left**2).sum()) / total if total > 0.0 else 0.0
    return Lag(lag_s, std_s, explained, float(fit.weights[1, 0]), blocks)


def _least(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function with one valley is least, by golden section, to within TOLERANCE_S. Robots
    that record have no SciPy."""
    golden = (math.sqrt(5.0) - 1.0) / 2.0
    left, right = high - golden * (high - low), low + golden * (high - low)
    of_left, of_right = function(left), function(right)
    while high - low > TOLERANCE_S:
        if of_left < of_right:
            high, right, of_right = right, left, of_left
            left = high - golden * (high - low)
            of_left = function(left)
        else:
            low, left, of_left = left, right, of_right
            right = low + golden * (high - low)
            of_right = function(right)
    return (low + high) / 2.0


def _deviation(led: Signal, seen: Signal, lag_s: float, fit: _Fit) -> tuple[float, int]:
    """Of the lag [s], and how many blocks it is of."""
    step_s = GRID_S / 2
    ahead, behind = (led.around(seen.times_s - lag_s - shift) for shift in (step_s, -step_s))
    slope = (ahead - behind) @ fit.weights[1:] / (2 * step_s)  # (N, C) of what is expected
    slope -= fit.columns @ np.linalg.lstsq(fit.columns, slope, rcond=None)[0]
    information = float((slope**2).sum())
    if information == 0.0:
        return math.inf, 0
    places = ((seen.times_s - seen.times_s[0]) / BLOCK_S).astype(np.int64)
    _, places = np.unique(places, return_inverse=True)
    scores: np.ndarray = np.bincount(places, (slope * fit.left).sum(axis=1))
    count, shares = len(scores), np.bincount(places, (slope**2).sum(axis=1)) / information
    if count < 2 or shares.max() > MOST_OF_ONE_BLOCK:
        return math.inf, count
    scores = scores / (1.0 - shares)  # what a block that tells much leaves over looks too small
    return math.sqrt(float((scores**2).sum())) / information, count
