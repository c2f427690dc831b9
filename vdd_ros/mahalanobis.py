"""Mahalanobis distance to a training set that lies in several clusters.

    d(x) = min_k sqrt((x - m_k)^T S_k^-1 (x - m_k))

Clusters are those of k-means. Demonstrations of a task that is done in several ways and phases
fill a curved surface; one Gaussian over all of it would call familiar what lies between them. S_k
is the covariance within a cluster, shrunk after Ledoit and Wolf (2004), plus that of the noise of
readings, without which a dimension that never moved would turn a micrometre into an alarm. Windows
of an episode resemble each other, so there are fewer independent ones than the shrinkage takes them
for; the noise is what bounds the smallest variance.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

ITERATIONS = 25  # of k-means


class Clusters(NamedTuple):
    """means: (K, C); whiteners: (K, C, C), W^T W = S_k^-1."""

    means: np.ndarray
    whiteners: np.ndarray

    def distance(self, points: np.ndarray) -> np.ndarray:
        """(N, C) -> (N,) to the nearest cluster [standard deviations]."""
        return self.distances(points).min(0)

    def nearest(self, point: np.ndarray) -> float:
        """As `distance` of one point (C,), in the time of a control tick: without a loop."""
        offsets = point - self.means
        whitened = np.matmul(self.whiteners, offsets[:, :, None])
        return float(np.sqrt((whitened * whitened).sum((1, 2)).min()))

    def distances(self, points: np.ndarray) -> np.ndarray:
        """(N, C) -> (K, N) to every cluster."""
        return np.array(
            [
                np.linalg.norm((points - mean) @ whitener.T, axis=-1)
                for mean, whitener in zip(*self, strict=True)
            ]
        )


def fit_clusters(
    points: np.ndarray, count: int, noise: np.ndarray, rng: np.random.Generator
) -> Clusters:
    """Of points (N, C); noise: (C, C) covariance that is added to that of each cluster."""
    from scipy.cluster.vq import kmeans2, vq

    count = min(count, len(points))
    with np.errstate(invalid="ignore"):
        centres, _ = kmeans2(points, count, ITERATIONS, minit="++", seed=rng, missing="warn")
    nearest = vq(points, centres)[0]
    members = [points[nearest == k] for k in range(count)]
    members = [cluster for cluster in members if len(cluster)]
    covariances = [ledoit_wolf(cluster) + noise for cluster in members]
    return Clusters(
        np.array([cluster.mean(0) for cluster in members]),
        np.array([np.linalg.inv(np.linalg.cholesky(covariance)) for covariance in covariances]),
    )


def ledoit_wolf(points: np.ndarray) -> np.ndarray:
    """(C, C) covariance of points (N, C), drawn to the multiple of the identity with its trace.

    Ledoit and Wolf 2004, "A well-conditioned estimator for large-dimensional covariance matrices":
    S* = (b^2 / d^2) m I + (1 - b^2 / d^2) S, their lemmas 3.2 to 3.5, without their factor 1 / C.
    """
    count, dim = points.shape
    centred = points - points.mean(0)
    sample = centred.T @ centred / count
    target = np.trace(sample) / dim * np.eye(dim)
    d2 = ((sample - target) ** 2).sum()
    if d2 == 0.0:
        return sample
    # mean of |x x^T - S|^2 is that of |x|^4, less |S|^2
    b2 = (((centred**2).sum(1) ** 2).mean() - (sample**2).sum()) / count
    share = min(max(b2, 0.0), d2) / d2
    return share * target + (1.0 - share) * sample
