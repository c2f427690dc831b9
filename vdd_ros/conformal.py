"""Split-conformal thresholds: a false-alarm rate that holds without knowing any distribution.

The unit is an episode: ticks of one episode depend on each other, episodes are taken for
exchangeable. An episode's score is its largest running mean of what is watched, so that an alarm
anywhere in it counts once. With the scores s_1..s_n of n episodes that nothing was fitted on, and
k = ceil((n + 1)(1 - alpha)), a further episode exceeds the k-th smallest with a probability of at
most 1 - k / (n + 1) <= alpha (Vovk, Gammerman and Shafer 2005; Lei et al. 2018; Angelopoulos and
Bates 2021). That is an average over calibration sets as well: of one set, the rate is distributed
as Beta(n + 1 - k, k) (Vovk 2012).
"""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

import numpy as np

MOST_FALSE_ALARMS = 0.2  # a threshold that is worth less than this is none


class Threshold(NamedTuple):
    """value: what is above it is an alarm; false_alarm_rate: share of episodes that are like those
    it is of and have one nevertheless, at most; episodes: n."""

    value: float
    false_alarm_rate: float
    episodes: int


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


def conformal_threshold(scores: np.ndarray, false_alarm_rate: float) -> Threshold | None:
    """Of the scores (n,) of episodes that nothing was fitted on.

    Where n does not allow for the rate that is asked for, the smallest possible, 1 / (n + 1); None
    where that is more than MOST_FALSE_ALARMS.
    """
    count = len(scores)
    rank = min(count, math.ceil((count + 1) * (1.0 - false_alarm_rate) - 1e-9))
    if (
        count == 0
        or rank < 1
        or 1.0 - rank / (count + 1) > max(MOST_FALSE_ALARMS, false_alarm_rate)
    ):
        return None
    return Threshold(float(np.sort(scores)[rank - 1]), 1.0 - rank / (count + 1), count)
