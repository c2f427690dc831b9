"""How close a student is to its teacher and to held-out people: the figures of METRICS.md."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vdd_ros.policies.mixture import GaussianMixture


class Estimate(NamedTuple):
    """A mean over observations or episodes with its standard error and 95 % bootstrap interval."""

    mean: float
    standard_error: float
    low: float
    high: float


def bootstrap(values: np.ndarray, seed: int, draws: int = 2000) -> Estimate:
    """(N,) -> mean with its interval, resampling the N values."""
    rng = np.random.default_rng(seed)
    means = values[rng.integers(len(values), size=(draws, len(values)))].mean(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Estimate(float(values.mean()), float(means.std()), float(low), float(high))


def nll_per_dimension(
    mixture: GaussianMixture, chunks: Tensor, log_volume: Tensor, is_pad: Tensor
) -> Tensor:
    """(B,) negative log density of standardised chunks, nats per dimension, padded steps left out.

    chunks: (B, H, Da) normalised; log_volume: (H, Da) from Normalizer; is_pad: (B, H). Steps that
    are padding are integrated out: a marginal of a Gaussian mixture only drops rows.
    """
    batch, horizon, dim = chunks.shape
    result = torch.empty(batch, dtype=chunks.dtype)
    for real in range(1, horizon + 1):  # padding is always a tail
        rows = (~is_pad).sum(1) == real
        if rows.any():
            kept = real * dim
            part = GaussianMixture(
                mixture.log_weights[rows],
                mixture.means[rows, :, :kept],
                mixture.scales[rows, :, :kept],
                mixture.factors[rows, :, :kept],
            )
            log_prob = part.log_prob(chunks[rows, :real].reshape(-1, 1, kept))[:, 0]
            result[rows] = -(log_prob - log_volume[:real].sum()) / kept
    return result


def energy_distance(a: Tensor, b: Tensor) -> Tensor:
    """(B, N, D), (B, M, D) standardised -> (B,) unbiased energy distance, norms over sqrt(D)."""
    scale = a.shape[-1] ** 0.5
    cross = torch.cdist(a, b).mean((1, 2))
    n, m = a.shape[1], b.shape[1]
    within_a = torch.cdist(a, a).sum((1, 2)) / (n * (n - 1))
    within_b = torch.cdist(b, b).sum((1, 2)) / (m * (m - 1))
    return (2 * cross - within_a - within_b) / scale


def sliced_w2(a: Tensor, b: Tensor, seed: int = 0, projections: int = 256) -> Tensor:
    """(B, N, D), (B, N, D) standardised -> (B,) sliced 2-Wasserstein distance, drawn by seed."""
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(a.shape[-1], projections, generator=generator, dtype=a.dtype)
    directions = directions / directions.norm(dim=0)
    ordered_a = (a @ directions).sort(dim=1).values
    ordered_b = (b @ directions).sort(dim=1).values
    return (ordered_a - ordered_b).square().mean((1, 2)).sqrt()


def off_support(samples: Tensor, reference: Tensor, fresh: Tensor) -> Tensor:
    """(B,) share of samples farther from every reference sample than 99 % of fresh ones are.

    samples: (B, N, D) of the student; reference, fresh: (B, M, D) two independent teacher draws.
    """
    threshold = torch.quantile(torch.cdist(fresh, reference).amin(2), 0.99, dim=1)
    nearest = torch.cdist(samples, reference).amin(2)
    return (nearest > threshold[:, None]).float().mean(1)
