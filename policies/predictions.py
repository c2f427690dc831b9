"""What a network may be asked for, and the exact ways from each to a clean chunk and back.

x = clean + sigma xi is a noised chunk; a DDPM's is z = alpha x = alpha clean + beta xi with
alpha = 1 / sqrt(1 + sigma^2), beta = sigma alpha.

    epsilon    xi                       (Ho et al. 2020)
    x0         clean
    v          alpha xi - beta clean    (Salimans and Ho 2022)
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

DdpmPrediction = Literal["epsilon", "x0", "v"]


def signal_scale(sigma: Tensor) -> Tensor:
    """The alpha above: what is left of a chunk where z has unit variance for unit data."""
    return (1.0 + sigma**2).rsqrt()


def clean_of(kind: DdpmPrediction, predicted: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
    """(B, D) clean chunk of what was predicted (B, D) at x (B, D) and sigma (B,)."""
    if kind == "x0":
        return predicted
    sigma = sigma[:, None]
    if kind == "epsilon":
        return x - sigma * predicted
    alpha = signal_scale(sigma)
    return alpha * (alpha * x - sigma * predicted)


def prediction_of(kind: DdpmPrediction, clean: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
    """(B, D), the inverse of clean_of: what a network predicts who takes `clean` to be in x."""
    if kind == "x0":
        return clean
    sigma = sigma[:, None]
    xi = (x - clean) / sigma
    if kind == "epsilon":
        return xi
    return signal_scale(sigma) * (xi - sigma * clean)
