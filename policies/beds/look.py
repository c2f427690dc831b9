"""What the exact teacher of a bed has at observation 0, to be drawn behind samples."""

from __future__ import annotations

import numpy as np
import torch

from vdd_ros.policies.beds import BEDS


def density(bed: str, reach: float, pixels: int) -> np.ndarray:
    """(pixels, pixels), y upwards, of a bed of two numbers, from -reach to reach; at most 1."""
    at = torch.linspace(-reach, reach, pixels)
    y, x = torch.meshgrid(at, at, indexing="ij")
    points = torch.stack([x, y], dim=-1).view(1, -1, 2)
    log_prob = BEDS[bed].mixture(torch.zeros(1, 1)).log_prob(points)
    return (log_prob - log_prob.max()).exp().view(pixels, pixels).numpy()


def true_chunks(bed: str, count: int) -> np.ndarray:
    """(count, D) samples."""
    generator = torch.Generator().manual_seed(0)
    return BEDS[bed].mixture(torch.zeros(1, 1)).sample(count, generator)[0].numpy()
