"""From a run's windows to the OodDetector of its bundle: fitted on those trained on, calibrated on
those held out.

Nothing but thresholds comes from the held-out episodes. Figures of the network on the same episodes
(METRICS: NLL) stay what they were; how often the thresholds give a false alarm is to be counted on
others (`vdd bench ood`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from vdd_ros.conformal import conformal_threshold, episode_scores
from vdd_ros.contract import Contract
from vdd_ros.density import MixtureParameters, log_density
from vdd_ros.feature_distance import FeatureDistance
from vdd_ros.mahalanobis import Clusters, fit_clusters
from vdd_ros.normalizer import Normalizer
from vdd_ros.ood_detector import OodDetector
from vdd_ros.policies.demonstrations import unseen
from vdd_ros.policies.encoder import Encoder
from vdd_ros.policies.export import StudentDensity, acting_windows
from vdd_ros.policies.runs import MOST, Student, Teacher
from vdd_ros.policies.stored_windows import open_windows
from vdd_ros.policies.windows import Windows

CLUSTERS, EPISODES_PER_CLUSTER = 16, 10  # so many clusters, as far as each gets so many episodes
SAME_SCENE = 2e-3  # [m]; nobody puts a thing back so exactly
LOOK_S = 0.1  # [s] between two looks at gating and density, as in ~/policy_state
RUNNING_S = 0.5  # [s]; over which the distance is averaged
# Readings are taken for no more exact than this [contract unit], nor than this share of a standard
# deviation: a robot's sensors and its cameras are less exact than a simulator's.
READING_STD, FEATURE_STD = 1e-3, 0.02


def fit_detector(
    teacher: Teacher,
    further: Path | None,
    false_alarm_rate: float,
    seed: int,
    student: Student | None,
) -> OodDetector:
    """Of the windows that a teacher was trained on and of those it never saw, which are those held
    out and those of further recordings; with a student also of its gating and of its density of
    what was demonstrated."""
    training = open_windows(teacher.folder, held_out=False).at_most(MOST)
    held_out = unseen(teacher, further)
    parts = teacher.contract, teacher.normalizer, training, held_out
    detector = calibrated(*parts, false_alarm_rate, seed)
    encoder = teacher.encoder if student is None else student.encoder
    if encoder is not None:
        shown = teacher.contract, training, held_out, encoder
        images = calibrated_images(*shown, false_alarm_rate, seed)
        detector = detector._replace(images=images)
    if student is None:
        return detector
    seen = looked_at(held_out, teacher.contract)
    given = acting_windows(seen, student.encoder)
    entropy, surprise = entropy_and_surprise(student, given, seen.chunks)
    groups = scenes(teacher.contract, seen)
    entropy, surprise = (
        conformal_threshold(episode_scores(values, seen.episode, 1), groups, false_alarm_rate)
        for values in (entropy, surprise)
    )
    return detector._replace(gating_entropy=entropy, surprise=surprise)


def calibrated(
    contract: Contract,
    normalizer: Normalizer,
    training: Windows,
    held_out: Windows,
    false_alarm_rate: float,
    seed: int,
    most_clusters: int = CLUSTERS,
) -> OodDetector:
    """Of observations alone: clusters of those trained on, the threshold from those held out."""
    count = clusters_of(training, most_clusters)
    clusters = fit_window_clusters(normalizer, training.observations, count, seed)
    ticks = max(1, round(RUNNING_S * contract.rates.control_hz))
    distances = clusters.distance(flattened(held_out.observations))
    scores = episode_scores(distances, held_out.episode, ticks)
    threshold = conformal_threshold(scores, scenes(contract, held_out), false_alarm_rate)
    return OodDetector(clusters, ticks, threshold)


def calibrated_images(
    contract: Contract,
    training: Windows,
    held_out: Windows,
    encoder: Encoder,
    false_alarm_rate: float,
    seed: int,
) -> tuple[FeatureDistance, ...]:
    """Of what an encoder makes of each image, clusters and thresholds as of the other numbers."""
    count = clusters_of(training)
    ticks = max(1, round(RUNNING_S * contract.rates.control_hz))
    groups = scenes(contract, held_out)
    found = []
    trained, kept = (features_of(windows, encoder) for windows in (training, held_out))
    for index, image in enumerate(contract.images):
        seen = trained[:, index]
        noise = FEATURE_STD**2 * seen.var(0).mean() * np.eye(seen.shape[1])
        clusters = fit_clusters(seen, count, noise, np.random.default_rng(seed))
        scores = episode_scores(clusters.distance(kept[:, index]), held_out.episode, ticks)
        threshold = conformal_threshold(scores, groups, false_alarm_rate)
        found.append(FeatureDistance(image.name, clusters, threshold))
    return tuple(found)


def features_of(windows: Windows, encoder: Encoder) -> np.ndarray:
    """(N, C, F) of each image, without its age."""
    assert windows.pictures is not None
    blocks = encoder.of(windows.pictures).numpy().astype(np.float64)
    return blocks.reshape(len(blocks), encoder.count, -1)[:, :, :-1]


def clusters_of(training: Windows, most: int = CLUSTERS) -> int:
    """How many clusters so many episodes allow."""
    return min(most, max(1, len(np.unique(training.episode)) // EPISODES_PER_CLUSTER))


def scenes(contract: Contract, windows: Windows) -> np.ndarray:
    """(n,) which of the n episodes begin in the same scene as the one before: where objects are
    within SAME_SCENE of where they were. Where all are alike there is nothing to generalise to
    beyond this scene, and each episode counts for itself."""
    places = object_places(contract)
    firsts = windows.observations[np.unique(windows.episode, return_index=True)[1], -1][:, places]
    is_new = (np.abs(np.diff(firsts, axis=0)) > SAME_SCENE).any(1)
    if not is_new.any():
        return np.arange(len(firsts))
    return np.concatenate([[0], np.cumsum(is_new)])


def object_places(contract: Contract) -> np.ndarray:
    """Places of the numbers of an observation that are said of objects."""
    is_of_objects = [
        contract.streams[part.stream].is_of_objects
        for part in contract.observation
        for _ in range(contract.size_of(part.stream, part.field))
    ]
    return np.flatnonzero(is_of_objects)


def looked_at(windows: Windows, contract: Contract) -> Windows:
    """Those at which the monitor would look at gating and density: every LOOK_S of each episode, as
    far as their chunks end within it."""
    every = max(1, round(LOOK_S * contract.rates.control_hz))
    firsts = np.unique(windows.episode, return_index=True, return_inverse=True)[1:]
    tick = np.arange(len(windows.episode)) - firsts[0][firsts[1]]
    kept = (tick % every == 0) & ~windows.is_pad.any(1)
    return windows.at(kept)


def flattened(observations: np.ndarray) -> np.ndarray:
    """(N, To, Do) -> (N, To * Do), float64."""
    return observations.reshape(len(observations), -1).astype(np.float64)


def fit_window_clusters(
    normalizer: Normalizer, observations: np.ndarray, count: int, seed: int
) -> Clusters:
    """`count` clusters of the features of windows (N, To, Do), for flattened windows [unit].

    Features are J x + constant of a flattened window x, so |W (J x - J m)| = |(W J) (x - m)|.
    """
    steps, newest = observations.shape[1:]
    size = steps * newest
    at_zero = normalizer.features(np.zeros((steps, newest)))
    slope = (normalizer.features(np.eye(size).reshape(size, steps, newest)) - at_zero).T  # J
    noise = READING_STD**2 * slope @ slope.T + FEATURE_STD**2 * np.eye(size)
    features = normalizer.features(observations.astype(np.float64))
    found = fit_clusters(features, count, noise, np.random.default_rng(seed))
    means = np.linalg.solve(slope, (found.means - at_zero).T).T
    return Clusters(means, found.whiteners @ slope)


@torch.no_grad()
def entropy_and_surprise(
    student: Student, observations: np.ndarray, chunks: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(N,) gating entropies and (N,) minus log-densities of whole chunks (N, H, Da) after windows
    as a graph is given them [nats], by what the bundle's density.onnx is made of."""
    density = StudentDensity(student.moe, student.normalizer).eval()
    entropy, surprise = np.empty(len(chunks)), np.empty(len(chunks))
    for n, (window, chunk) in enumerate(zip(observations, chunks, strict=True)):
        mixture = mixture_after(density, window)
        entropy[n] = entropy_of(mixture)
        surprise[n] = -log_density(mixture, chunk.reshape(1, -1).astype(np.float64))[0]
    return entropy, surprise


def mixture_after(density: StudentDensity, window: np.ndarray) -> MixtureParameters:
    """What density.onnx says after a window (To, Do)."""
    parts = density(torch.as_tensor(window, dtype=torch.float32))
    return MixtureParameters(*(part.numpy() for part in parts))


def entropy_of(mixture: MixtureParameters) -> float:
    """Of its gating [nats]."""
    log_gating = mixture.log_gating.astype(np.float64)
    return float(-(np.exp(log_gating) * np.maximum(log_gating, -1e3)).sum())
