"""How samples share themselves out among modes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

LEAST = 0.2  # of its true mass, for a mode to be covered


def weight_figures(nearest: Tensor, within: Tensor, weights: Sequence[float]) -> dict[str, float]:
    """nearest: (N,) index of each sample's mode; within: (N,) whether it belongs to it at all.

    cov: modes with at least LEAST of their true mass; tv: total variation between weights and the
    shares of those within.
    """
    true = torch.tensor(weights, dtype=torch.float64)
    counts = torch.bincount(nearest[within], minlength=len(true)).double()
    shares = counts / counts.sum().clamp_min(1.0)
    return {
        "cov": int((counts / len(nearest) >= LEAST * true).sum()),
        "tv": float((shares - true).abs().sum() / 2),
    }
