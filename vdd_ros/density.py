"""Density of a mixture of Gaussians with low-rank-plus-diagonal covariances, in float64 log space.

    q(a) = sum_k g_k N(a; mu_k, Sigma_k),    Sigma_k = diag(d_k^2) + U_k U_k^T

With V = U / d and w = (a - mu) / d, the R x R matrix C = I + V^T V gives both what is needed of
Sigma: (a - mu)^T Sigma^-1 (a - mu) = w^T w - w^T V C^-1 V^T w (Woodbury identity) and
ln det Sigma = 2 sum ln d + ln det C (matrix determinant lemma).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

LOG_2PI = float(np.log(2.0 * np.pi))


class MixtureParameters(NamedTuple):
    """log_gating: (K,), normalised; means: (K, D) [unit]; scales: (K, D), the d above, positive;
    factors: (K, D, R), the U above. D = H * Da, a chunk flattened step by step.
    """

    log_gating: np.ndarray
    means: np.ndarray
    scales: np.ndarray
    factors: np.ndarray


class Draws(NamedTuple):
    """S samples of each expert. deviations: (S, K, D), from the expert's mean [unit]; log_density:
    (S, K), of the samples under the whole mixture [nats]."""

    deviations: np.ndarray
    log_density: np.ndarray


def log_density(mixture: MixtureParameters, chunks: np.ndarray) -> np.ndarray:
    """(N,): log-densities of whole chunks (N, D) [nats]; not finite where the parameters are
    not, or too large to tell."""
    log_gating, means, scales, factors = (np.asarray(part, np.float64) for part in mixture)
    whitened = (chunks.astype(np.float64)[None] - means[:, None]) / scales[:, None]  # (K, N, D)
    scaled = factors / scales[..., None]  # (K, D, R)
    inner = np.eye(factors.shape[-1]) + scaled.swapaxes(-1, -2) @ scaled  # (K, R, R), the C above
    along = whitened @ scaled  # (K, N, R)
    try:
        solved = np.linalg.solve(inner, along.swapaxes(-1, -2)).swapaxes(-1, -2)
    except np.linalg.LinAlgError:  # factors so large that the 1 above is lost beside them
        return np.full(len(chunks), np.nan)
    squared = (whitened**2).sum(-1) - (along * solved).sum(-1)
    log_det = 2.0 * np.log(scales).sum(-1) + np.linalg.slogdet(inner)[1]
    constant = log_gating - 0.5 * (log_det + means.shape[-1] * LOG_2PI)
    return np.logaddexp.reduce(constant[:, None] - 0.5 * squared, axis=0)


def draw(mixture: MixtureParameters, count: int, rng: np.random.Generator) -> Draws:
    """`count` samples of each expert, along its factors; the scales are what is left beside."""
    experts, _, rank = mixture.factors.shape
    along = rng.standard_normal((count, experts, rank))
    deviations = np.einsum("kdr,skr->skd", mixture.factors, along)
    samples = mixture.means + deviations
    density = log_density(mixture, samples.reshape(count * experts, -1))
    return Draws(deviations, density.reshape(count, experts))
