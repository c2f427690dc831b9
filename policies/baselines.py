"""What a policy must beat to have learned anything: predictions without a network.

Each is a density over the numbers that stand for a chunk (normalised units), fitted on training
windows in closed form, and judged as every student is. A low likelihood loss can come from nothing
more than commands that stay close to where the joints are: these say how low. What each would do on
a robot, with nothing but numpy, is timed beside the students.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vdd_ros.normalizer import Normalizer
from vdd_ros.policies.covariance import Full
from vdd_ros.policies.mixture import GaussianMixture
from vdd_ros.policies.windows import Windows

# (B, C) features, (B, To, Do) observations in contract units -> B mixtures over D numbers
Predict = Callable[[Tensor, np.ndarray], GaussianMixture]
# (To, Do) observations -> (K, H, Da) means, both in contract units
Act = Callable[[np.ndarray], np.ndarray]
VARIANCE_FLOOR = 1e-4  # [normalised units squared], far below what any of them leaves over
NEIGHBOURS = 8  # as many as a student has experts


class Baseline(NamedTuple):
    """predict: for what judges a density; act: for a robot."""

    predict: Predict
    act: Act


@dataclass(frozen=True)
class Fitted:
    """What all of them are fitted on. cond: (N, C); z: (N, D) chunks; both normalised."""

    normalizer: Normalizer
    cond: Tensor
    z: Tensor
    windows: Windows


def linear_gaussian(data: Fitted) -> Baseline:
    """z = A [1, cond] + noise of one covariance: least squares."""
    terms = _with_one(data.cond)
    weights = torch.linalg.lstsq(terms, data.z.double()).solution
    whitener = _whitener(data.z.double() - terms @ weights)

    def predict(cond: Tensor, observations: np.ndarray) -> GaussianMixture:
        return _gaussian(_with_one(cond) @ weights, whitener)

    constant, slope = weights.numpy()[0], weights.numpy()[1:]

    def act(observations: np.ndarray) -> np.ndarray:
        z = constant + data.normalizer.features(observations) @ slope
        return data.normalizer.unnormalize(z, observations)[None]

    return Baseline(predict, act)


def hold_last(data: Fitted) -> Baseline:
    """The joints stay where they are; the covariance is that of what they did instead."""
    horizon, dim = data.normalizer.chunk_mean.shape

    def act(observations: np.ndarray) -> np.ndarray:
        return np.repeat(observations[None, -1:, :dim], horizon, axis=1)

    def centre(observations: np.ndarray) -> Tensor:
        chunks = np.repeat(observations[:, -1:, :dim], horizon, axis=1)
        return torch.tensor(data.normalizer.normalize(chunks, observations))

    whitener = _whitener(data.z.double() - centre(data.windows.observations))

    def predict(cond: Tensor, observations: np.ndarray) -> GaussianMixture:
        return _gaussian(centre(observations), whitener)

    return Baseline(predict, act)


def nearest_neighbours(data: Fitted) -> Baseline:
    """The chunks that followed the most similar observations, as many as a student has experts,
    equally likely; one covariance, that of what a neighbour in another episode leaves."""
    chunks = data.windows.chunks

    def centres(nearest: Tensor, observations: np.ndarray) -> Tensor:
        candidates = chunks[nearest.numpy()]  # (B, K, H, Da) as they were, from where they were
        return torch.tensor(data.normalizer.normalize(candidates, observations[:, None]))

    episode = torch.tensor(data.windows.episode)
    nearest = torch.cat(
        [
            _nearest(cond, data.cond, 1, own[:, None] == episode)
            for cond, own in zip(data.cond.split(512), episode.split(512), strict=True)
        ]
    )
    left = data.z.double()[:, None] - centres(nearest, data.windows.observations)
    whitener = _whitener(left[:, 0])

    def predict(cond: Tensor, observations: np.ndarray) -> GaussianMixture:
        return _gaussian(centres(_nearest(cond, data.cond, NEIGHBOURS), observations), whitener)

    known = data.cond.numpy()

    def act(observations: np.ndarray) -> np.ndarray:
        squared = np.square(known - data.normalizer.features(observations)).sum(1)
        return chunks[np.argpartition(squared, NEIGHBOURS)[:NEIGHBOURS]]

    return Baseline(predict, act)


BASELINES: dict[str, Callable[[Fitted], Baseline]] = {
    "linear-gaussian": linear_gaussian,
    "nearest-neighbour": nearest_neighbours,
    "hold-last": hold_last,
}


def _with_one(cond: Tensor) -> Tensor:
    return torch.cat([torch.ones(len(cond), 1, dtype=torch.float64), cond.double()], dim=1)


def _whitener(left: Tensor) -> Tensor:
    """(N, D) residuals -> (D, D): W of their covariance about zero, see Full."""
    covariance = left.mT @ left / len(left) + VARIANCE_FLOOR * torch.eye(left.shape[1]).double()
    unit = torch.eye(left.shape[1], dtype=torch.float64)
    return torch.linalg.solve_triangular(torch.linalg.cholesky(covariance), unit, upper=False)


def _nearest(cond: Tensor, known: Tensor, count: int, barred: Tensor | None = None) -> Tensor:
    """(B, count) rows of `known` (N, C) closest to cond (B, C); barred: (B, N) not to be taken."""
    distance = torch.cdist(cond, known)
    if barred is not None:
        distance = distance.masked_fill(barred, math.inf)
    return distance.topk(count, largest=False).indices


def _gaussian(means: Tensor, whitener: Tensor) -> GaussianMixture:
    """means: (B, D), or (B, K, D) equally likely; one whitener (D, D) for all."""
    means = means if means.ndim == 3 else means[:, None]
    batch, experts, dim = means.shape
    log_weights = torch.full((batch, experts), -math.log(experts), dtype=means.dtype)
    return GaussianMixture(log_weights, means, Full(whitener.expand(batch, experts, dim, dim)))
