"""Split-conformal thresholds: a false-alarm rate that holds without knowing any distribution.

Ticks of one episode depend on each other, and so do episodes that begin in the same scene. Scenes
are taken for exchangeable. An episode's score is its largest running mean of what is watched, so
that an alarm anywhere in it counts once. Of n_j scores s_ji in each of K scenes that nothing was
fitted on, the threshold is the (1 - alpha)-quantile of

    sum_j sum_i delta(s_ji) / (n_j (K + 1)) + delta(infinity) / (K + 1)

and an episode of a further scene exceeds it with a probability of at most alpha (Lee, Barber and
Willett 2023, "Distribution-free inference with hierarchical data"). With one episode a scene it is
the ceil((n + 1)(1 - alpha))-th smallest of n scores (Vovk, Gammerman and Shafer 2005; Lei et al.
2018; Angelopoulos and Bates 2021), k-th smallest, say. The probability is over calibration sets as
well: of one set the rate is then distributed as Beta(n + 1 - k, k) (Vovk 2012).
"""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

import numpy as np

MOST_FALSE_ALARMS = 0.2  # a threshold that is worth less than this is none


class Threshold(NamedTuple):
    """value: what is above it is an alarm; false_alarm_rate: share of the episodes of further
    scenes in which there is one nevertheless, at most; episodes, scenes: that it is of."""

    value: float
    false_alarm_rate: float
    episodes: int
    scenes: int


class RunningMean:
    """The mean of the newest `size` numbers, or of as many as there are."""

    def __init__(self, size: int):
        self._newest: deque[float] = deque(maxlen=size)

    def add(self, value: float) -> float:
        """Take one more; the mean with it."""
        self._newest.append(value)
        return math.fsum(self._newest) / len(self._newest)


def episode_scores(values: np.ndarray, episode: np.ndarray, size: int) -> np.ndarray:
    """(n,) the largest running mean over `size` ticks of values (N,), for each of the n episodes
    that episode (N,) names, in the order of their names."""
    scores = []
    for name in np.unique(episode):
        running = RunningMean(size)
        scores.append(max(running.add(value) for value in values[episode == name].tolist()))
    return np.array(scores)


def conformal_threshold(
    scores: np.ndarray, scene: np.ndarray, false_alarm_rate: float
) -> Threshold | None:
    """Of the scores (n,) of episodes that nothing was fitted on, and the scene (n,) of each.

    Where the K scenes do not allow for the rate that is asked for, the smallest possible,
    1 / (K + 1); None where that is more than MOST_FALSE_ALARMS.
    """
    _, index, sizes = np.unique(scene, return_inverse=True, return_counts=True)
    rate = max(false_alarm_rate, 1.0 / (len(sizes) + 1))
    if rate > max(MOST_FALSE_ALARMS, false_alarm_rate):
        return None
    order = np.argsort(scores)
    below = np.cumsum(1.0 / sizes[index[order]]) / (len(sizes) + 1)  # share at or below each
    rank = min(int(np.searchsorted(below, 1.0 - rate - 1e-9)), len(scores) - 1)
    if len(set(sizes.tolist())) == 1:  # else the share below depends on the scores themselves
        rate = 1.0 - float(below[rank])
    return Threshold(float(scores[order[rank]]), rate, len(scores), len(sizes))
