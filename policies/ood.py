"""From a run's windows to the OodDetector of its bundle: fitted on those trained on, calibrated on
those held out.

Nothing but thresholds comes from the held-out episodes. Figures of the network on the same episodes
(METRICS: NLL) stay what they were; how often the thresholds give a false alarm is to be counted on
others (`vdd bench ood`).
"""

from __future__ import annotations

import numpy as np
import torch

from vdd_ros.conformal import Threshold, conformal_threshold, episode_scores
from vdd_ros.density import MixtureParameters, log_density
from vdd_ros.mahalanobis import Clusters, fit_clusters
from vdd_ros.normalizer import Normalizer
from vdd_ros.ood_detector import OodDetector
from vdd_ros.policies.export import StudentDensity
from vdd_ros.policies.runs import Student, Teacher, load_windows
from vdd_ros.policies.windows import Windows

CLUSTERS = 16
RUNNING_S = 0.5  # [s]; over which the distance is averaged
# Readings are taken for no more exact than this [contract unit], nor than this share of a standard
# deviation: a robot's sensors and its cameras are less exact than a simulator's.
READING_STD, FEATURE_STD = 1e-3, 0.02


def fit_detector(
    teacher: Teacher, false_alarm_rate: float, seed: int, student: Student | None = None
) -> OodDetector:
    """Of the windows that a teacher was trained on and of those it never saw; with a student also
    of its gating and of its density of what was demonstrated."""
    training = load_windows(teacher, held_out=False)
    held_out = load_windows(teacher, held_out=True)
    clusters = fit_window_clusters(teacher.normalizer, training.observations, seed)
    ticks = max(1, round(RUNNING_S * teacher.contract.rates.control_hz))
    detector = OodDetector(clusters, ticks, None)

    def threshold(values: np.ndarray, episode: np.ndarray, size: int) -> Threshold | None:
        return conformal_threshold(episode_scores(values, episode, size), false_alarm_rate)

    distances = clusters.distance(flattened(held_out.observations))
    detector = detector._replace(distance=threshold(distances, held_out.episode, ticks))
    if student is None:
        return detector
    whole = Windows(*(part[~held_out.is_pad.any(1)] for part in held_out))
    entropy, surprise = entropy_and_surprise(student, whole.observations, whole.chunks)
    return detector._replace(
        gating_entropy=threshold(entropy, whole.episode, 1),
        surprise=threshold(surprise, whole.episode, 1),
    )


def flattened(observations: np.ndarray) -> np.ndarray:
    """(N, To, Do) -> (N, To * Do), float64."""
    return observations.reshape(len(observations), -1).astype(np.float64)


def fit_window_clusters(normalizer: Normalizer, observations: np.ndarray, seed: int) -> Clusters:
    """Clusters of the features of windows (N, To, Do), for flattened windows in contract units.

    Features are J x + constant of a flattened window x, so |W (J x - J m)| = |(W J) (x - m)|.
    """
    steps, newest = observations.shape[1:]
    size = steps * newest
    at_zero = normalizer.features(np.zeros((steps, newest)))
    slope = (normalizer.features(np.eye(size).reshape(size, steps, newest)) - at_zero).T  # J
    noise = READING_STD**2 * slope @ slope.T + FEATURE_STD**2 * np.eye(size)
    features = normalizer.features(observations.astype(np.float64))
    found = fit_clusters(features, CLUSTERS, noise, np.random.default_rng(seed))
    means = np.linalg.solve(slope, (found.means - at_zero).T).T
    return Clusters(means, found.whiteners @ slope)


@torch.no_grad()
def entropy_and_surprise(
    student: Student, observations: np.ndarray, chunks: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(N,) gating entropies and (N,) minus log-densities of whole chunks (N, H, Da) after windows
    (N, To, Do) [nats], by what the bundle's density.onnx is made of."""
    density = StudentDensity(student.moe, student.normalizer).eval()
    entropy, surprise = np.empty(len(chunks)), np.empty(len(chunks))
    for n, (window, chunk) in enumerate(zip(observations, chunks, strict=True)):
        parts = density(torch.as_tensor(window, dtype=torch.float32))
        mixture = MixtureParameters(*(part.numpy() for part in parts))
        log_gating = mixture.log_gating.astype(np.float64)
        entropy[n] = -(np.exp(log_gating) * np.maximum(log_gating, -1e3)).sum()
        surprise[n] = -log_density(mixture, chunk.reshape(1, -1).astype(np.float64))[0]
    return entropy, surprise
