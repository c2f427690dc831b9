"""How close a student is to its teacher and to held-out people: the figures of METRICS.md."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vdd_ros.policies.mixture import LOG_2PI, GaussianMixture

DRAWS = 2000  # of a bootstrap


class Estimate(NamedTuple):
    """A mean over observations or episodes with its standard error and 95 % bootstrap interval."""

    mean: float
    standard_error: float
    low: float
    high: float


def bootstrap(values: np.ndarray, seed: int) -> Estimate:
    """(N,) -> mean with its interval, resampling the N values."""
    rng = np.random.default_rng(seed)
    means = values[rng.integers(len(values), size=(DRAWS, len(values)))].mean(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Estimate(float(values.mean()), float(means.std()), float(low), float(high))


def nll_per_dimension(
    mixture: GaussianMixture,
    offsets: Tensor,
    decoder: Tensor,
    remainder: Tensor,
    is_pad: Tensor,
) -> Tensor:
    """(B,) negative log density of standardised chunks, nats per dimension, padded steps left out.

    mixture: over the R numbers z of a chunk; offsets: (B, H, Da) chunk minus its value at z = 0;
    decoder: (H*Da, R) d chunk / d z; remainder: (H*Da, H*Da) covariance of what z cannot say; all
    float64 and in standardised actions. is_pad: (B, H). Steps that are padding are integrated out:
    a marginal of a Gaussian mixture only drops rows.

    Where the remainder is whitened, a chunk is standard normal but for the few directions Q that
    the decoder Q T reaches, and only there is it a mixture.
    """
    _, horizon, dim = offsets.shape
    mixture = GaussianMixture(*(part.double() for part in mixture))
    result = torch.empty(len(offsets), dtype=torch.float64)
    for real in range(1, horizon + 1):  # padding is always a tail
        rows = (~is_pad).sum(1) == real
        if not rows.any():
            continue
        kept = real * dim
        root = torch.linalg.cholesky(remainder[:kept, :kept])
        within = torch.linalg.solve_triangular(root, decoder[:kept], upper=False)
        white = torch.linalg.solve_triangular(root, offsets[rows, :real].flatten(1).mT, upper=False)
        q, t = torch.linalg.qr(within)
        along = (q.mT @ white).mT  # (B, min(kept, R))
        log_prob = _along(GaussianMixture(*(part[rows] for part in mixture)), t, along)
        squared = white.square().sum(0) - along.square().sum(1)
        outside = -0.5 * (squared + (kept - len(q.mT)) * LOG_2PI)
        result[rows] = -(log_prob + outside - root.diagonal().log().sum()) / kept
    return result


def _along(mixture: GaussianMixture, t: Tensor, values: Tensor) -> Tensor:
    """(B,) log density of T z + standard normal noise at values (B, S); t: (S, R)."""
    factors = t @ mixture.covariance.root()
    covariance = factors @ factors.mT + torch.eye(len(t), dtype=t.dtype)
    along = GaussianMixture.of_covariance(mixture.log_weights, mixture.means @ t.mT, covariance)
    return along.log_prob(values[:, None])[:, 0]


def energy_distance(a: Tensor, b: Tensor) -> Tensor:
    """(B, N, D), (B, M, D) standardised -> (B,) unbiased energy distance, norms over sqrt(D)."""
    scale = a.shape[-1] ** 0.5
    cross = torch.cdist(a, b).mean((1, 2))
    n, m = a.shape[1], b.shape[1]
    within_a = torch.cdist(a, a).sum((1, 2)) / (n * (n - 1))
    within_b = torch.cdist(b, b).sum((1, 2)) / (m * (m - 1))
    return (2 * cross - within_a - within_b) / scale


def sliced_w2(a: Tensor, b: Tensor, projections: int = 256) -> Tensor:
    """(B, N, D), (B, N, D) standardised -> (B,) 2-Wasserstein distance over fixed slices."""
    generator = torch.Generator().manual_seed(0)
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
