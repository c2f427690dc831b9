"""Density of a mixture of Gaussians that share what is beside their factors, in float64 log space.

    q(a) = sum_k g_k N(a; mu_k, Sigma_k),    Sigma_k = P + U_k U_k^T,    P^-1 = W^T W

With V = W U, which the graph gives, and w = W (a - mu), the R x R matrix C = I + V^T V gives both
what is needed of Sigma: (a - mu)^T Sigma^-1 (a - mu) = w^T w - w^T V C^-1 V^T w (Woodbury identity)
and ln det Sigma = -2 ln det W + ln det C (matrix determinant lemma).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

LOG_2PI = float(np.log(2.0 * np.pi))


class MixtureParameters(NamedTuple):
    """log_gating: (K,), normalised; means: (K, D) [unit]; whitener: (D, D), the W above, lower
    triangular with a positive diagonal; factors: (K, D, R), the U above; whitened_factors:
    (K, D, R), the V above, a product too large for a control tick. D = H * Da, a chunk flattened
    step by step.
    """

    log_gating: np.ndarray
    means: np.ndarray
    whitener: np.ndarray
    factors: np.ndarray
    whitened_factors: np.ndarray


class Draws(NamedTuple):
    """A mixture and S samples of each expert. log_gating: (K,), means: (K, D) [unit]; deviations:
    (S, K, D), from the expert's mean [unit]; log_density: (S, K), of the samples under the whole
    mixture [nats]."""

    log_gating: np.ndarray
    means: np.ndarray
    deviations: np.ndarray
    log_density: np.ndarray


def log_density(mixture: MixtureParameters, chunks: np.ndarray) -> np.ndarray:
    """(N,): log-densities of whole chunks (N, D) [nats]; not finite where the parameters are
    not, or too large to tell."""
    whitener = mixture.whitener.astype(np.float64)
    return _log_density(mixture, mixture.means @ whitener.T, chunks @ whitener.T)


def draw(mixture: MixtureParameters, count: int, rng: np.random.Generator) -> Draws:
    """`count` samples of each expert, along its factors, without what is beside them."""
    experts, dim, rank = mixture.factors.shape
    along = rng.standard_normal((experts, count, rank))
    deviations = along @ mixture.factors.swapaxes(-1, -2)  # (K, S, D)
    means = mixture.means @ mixture.whitener.astype(np.float64).T
    chunks = means[:, None] + along @ mixture.whitened_factors.swapaxes(-1, -2)
    density = _log_density(mixture, means, chunks.reshape(experts * count, dim))
    return Draws(
        mixture.log_gating.astype(np.float64),
        mixture.means.astype(np.float64),
        deviations.swapaxes(0, 1),
        density.reshape(experts, count).T,
    )


def _log_density(mixture: MixtureParameters, means: np.ndarray, chunks: np.ndarray) -> np.ndarray:
    """means: (K, D) and chunks: (N, D), multiplied by W."""
    factors = mixture.whitened_factors.astype(np.float64)
    whitened = chunks - means[:, None]  # (K, N, D)
    inner = np.eye(factors.shape[-1]) + factors.swapaxes(-1, -2) @ factors  # (K, R, R), the C above
    try:
        root = np.linalg.cholesky(inner)
    except np.linalg.LinAlgError:  # factors so large that the 1 above is lost beside them
        return np.full(len(chunks), np.nan)
    # Small matrices and many chunks: multiplying by an inverse is half as long as solving.
    along = whitened @ (factors @ np.linalg.inv(root).swapaxes(-1, -2))  # (K, N, R)
    squared = _squares(whitened) - _squares(along)
    log_root = np.log(root.diagonal(0, -2, -1)).sum(-1)  # half of ln det C
    log_scale = np.log(mixture.whitener.diagonal().astype(np.float64)).sum()
    constant = mixture.log_gating - log_root + (log_scale - means.shape[-1] * LOG_2PI / 2)
    return np.logaddexp.reduce(constant[:, None] - 0.5 * squared, axis=0)


def _squares(vectors: np.ndarray) -> np.ndarray:
    return np.einsum("...i,...i", vectors, vectors)
