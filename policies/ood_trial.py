"""How often an OodDetector gives an alarm: on further demonstrations, and on them with a shift."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from vdd_ros.conformal import RunningMean
from vdd_ros.density import draw, log_density
from vdd_ros.ood_detector import OodDetector
from vdd_ros.policies.demonstrations import Split
from vdd_ros.policies.export import StudentDensity
from vdd_ros.policies.ood import entropy_of, flattened, looked_at, mixture_after
from vdd_ros.policies.runs import Student
from vdd_ros.policies.shifts import Layout, Shift
from vdd_ros.policies.windows import Windows

SIGNALS = ("gating_entropy", "own_mean", "own_sample", "demonstrated")


class Alarms(NamedTuple):
    """Of n episodes. scores: (n,) largest running mean of the distance; delay_s: (n,) from the
    beginning of the shift to the alarm, NaN without; signals: the largest of each episode that the
    student looked at: gating entropy, and minus the log-likelihood of the mean of the most probable
    expert, of a sample, and of the chunk that was demonstrated."""

    scores: np.ndarray
    delay_s: np.ndarray
    signals: dict[str, np.ndarray]


def alarms_under(
    shift: Shift,
    split: Split,
    layout: Layout,
    detector: OodDetector,
    student: Student | None,
    seed: int,
    most_looked_at: int,
) -> Alarms:
    """Shift every test episode, and look at it as the monitor would; with a student, whose density
    takes its time, at most so many of them."""
    scores, delays, signals = [], [], []
    threshold = np.inf if detector.distance is None else detector.distance.value
    names = np.unique(split.test.episode)
    every = -(-len(names) // most_looked_at)
    for number, name in enumerate(names):
        rng = np.random.default_rng((seed, int(name)))
        episode = split.test.of_episodes(np.array([name]))
        windows, first = shift(episode.observations.astype(np.float64), layout, rng)
        running = RunningMean(detector.running_ticks)
        distances = detector.clusters.distance(flattened(windows))
        means = np.array([running.add(distance) for distance in distances.tolist()])
        above = np.flatnonzero(means[first:] > threshold)
        scores.append(means[first:].max())
        delays.append(above[0] / split.contract.rates.control_hz if len(above) else np.nan)
        if student is not None and number % every == 0:
            seen = looked_at(episode._replace(observations=windows), split.contract)
            signals.append(_signals(student, seen, rng))
    columns = np.array(signals).T if signals else ()
    by_name = {} if student is None else dict(zip(SIGNALS, columns, strict=True))
    return Alarms(np.array(scores), np.array(delays), by_name)


@torch.no_grad()
def _signals(student: Student, seen: Windows, rng: np.random.Generator) -> np.ndarray:
    """(4,) in the order of SIGNALS, each the largest over the windows."""
    density = StudentDensity(student.moe, student.normalizer).eval()
    found = []
    for window, chunk in zip(seen.observations, seen.chunks, strict=True):
        mixture = mixture_after(density, window)
        mean = mixture.means[mixture.log_gating.argmax()]
        drawn = draw(mixture, 1, rng)
        gating = np.exp(mixture.log_gating.astype(np.float64))
        expert = rng.choice(len(gating), p=gating / gating.sum())
        chunks = np.stack([mean, chunk.ravel()]).astype(np.float64)
        own_mean, demonstrated = log_density(mixture, chunks)
        own_sample = drawn.log_density[0, expert]
        found.append((entropy_of(mixture), -own_mean, -own_sample, -demonstrated))
    return np.max(found, axis=0)


def auroc(usual: np.ndarray, shifted: np.ndarray) -> float:
    """Probability that a shifted episode's score is above a usual one's, ties half: the area under
    the receiver operating characteristic (Mann and Whitney 1947). .5: it tells nothing."""
    above = shifted[:, None] - usual
    return float((above > 0).mean() + 0.5 * (above == 0).mean())
