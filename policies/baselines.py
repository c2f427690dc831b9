"""What a policy must beat to have learned anything: predictions without a network.

Each is a density over the numbers that stand for a chunk (normalised units), fitted on training
windows in closed form, and judged as every student is. A low likelihood loss can come from nothing
more than commands that stay close to where the joints are: these say how low.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vdd_ros.normalizer import Normalizer
from vdd_ros.policies.mixture import GaussianMixture
from vdd_ros.policies.windows import Windows

# (B, C) features, (B, To, Do) observations in contract units -> B mixtures over D numbers
Predict = Callable[[Tensor, np.ndarray], GaussianMixture]
VARIANCE_FLOOR = 1e-4  # [normalised units squared], the square of the students' scale_floor
NEIGHBOURS = 8  # as many as a student has experts


@dataclass(frozen=True)
class Fitted:
    """What all of them are fitted on. cond: (N, C); z: (N, D) chunks; both normalised."""

    normalizer: Normalizer
    cond: Tensor
    z: Tensor
    windows: Windows


def linear_gaussian(data: Fitted) -> Predict:
    """z = A [1, cond] + noise of one covariance: least squares."""
    terms = _with_one(data.cond)
    weights = torch.linalg.lstsq(terms, data.z.double()).solution
    whitener = _whitener(data.z.double() - terms @ weights)

    def predict(cond: Tensor, observations: np.ndarray) -> GaussianMixture:
        return _gaussian(_with_one(cond) @ weights, whitener)

    return predict


def hold_last(data: Fitted) -> Predict:
    """The joints stay where they are; the covariance is that of what they did instead."""
    horizon = len(data.normalizer.chunk_mean)

    def centre(observations: np.ndarray) -> Tensor:
        newest = observations[:, -1, : data.normalizer.action_mean.size]
        chunks = np.repeat(newest[:, None], horizon, axis=1)
        return torch.tensor(data.normalizer.normalize(chunks, observations))

    whitener = _whitener(data.z.double() - centre(data.windows.observations))
    return lambda cond, observations: _gaussian(centre(observations), whitener)


def nearest_neighbours(data: Fitted) -> Predict:
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

    return predict


BASELINES: dict[str, Callable[[Fitted], Predict]] = {
    "linear-gaussian": linear_gaussian,
    "nearest-neighbour": nearest_neighbours,
    "hold-last": hold_last,
}


def _with_one(cond: Tensor) -> Tensor:
    return torch.cat([torch.ones(len(cond), 1, dtype=torch.float64), cond.double()], dim=1)


def _whitener(left: Tensor) -> Tensor:
    """(N, D) residuals -> (D, D): W of their covariance about zero, see GaussianMixture."""
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
    return GaussianMixture(log_weights, means, whitener.expand(batch, experts, dim, dim))
