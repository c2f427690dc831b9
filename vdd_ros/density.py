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


def log_density(mixture: MixtureParameters, chunk: np.ndarray) -> float:
    """Log-density of a whole chunk (H, Da) [nats]; not finite where the parameters are not."""
    log_gating, means, scales, factors = (np.asarray(part, np.float64) for part in mixture)
    a = np.asarray(chunk, np.float64).reshape(-1)
    whitened = (a - means) / scales  # (K, D)
    scaled = factors / scales[..., None]  # (K, D, R)
    across = scaled.swapaxes(-1, -2)
    inner = np.eye(factors.shape[-1]) + across @ scaled  # (K, R, R), the C above
    along = across @ whitened[..., None]  # (K, R, 1)
    explained = (along * np.linalg.solve(inner, along)).sum((-2, -1))
    squared = (whitened**2).sum(-1) - explained
    log_det = 2.0 * np.log(scales).sum(-1) + np.linalg.slogdet(inner)[1]
    joint = log_gating - 0.5 * (squared + log_det + a.size * LOG_2PI)
    return float(np.logaddexp.reduce(joint))
