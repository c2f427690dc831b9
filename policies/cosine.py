"""The cosine schedule of DDPMs (Nichol and Dhariwal 2021, eq. 17), in this project's sigma.

    alpha_bar(t) = cos^2 theta(t) / cos^2 theta(0),    theta(t) = (t + s) / (1 + s) * pi / 2

A DDPM sees z = alpha x with alpha^2 = alpha_bar, x = clean + sigma xi and
sigma^2 = (1 - alpha_bar) / alpha_bar, from which

    sigma^2 = (sin^2 theta(t) - sin^2 theta(0)) / cos^2 theta(t)

Both directions are written so that nothing cancels at small noise.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

OFFSET = 0.008  # the s above
LARGEST_BETA = 0.999  # of one level: the last one is not noise without any signal
START = OFFSET / (1.0 + OFFSET) * math.pi / 2  # theta(0)


def sigma_at(time: Tensor) -> Tensor:
    """Noise level at times in [0, 1)."""
    theta = (time + OFFSET) / (1.0 + OFFSET) * (math.pi / 2)
    return ((theta - START).sin() * (theta + START).sin()).sqrt() / theta.cos()


def time_at(sigma: Tensor) -> Tensor:
    """The time in [0, 1) of noise levels: the inverse of sigma_at."""
    tangent = (sigma**2 + math.sin(START) ** 2).sqrt() / math.cos(START)
    return tangent.atan() * (2 / math.pi * (1.0 + OFFSET)) - OFFSET


def level_sigmas(levels: int) -> Tensor:
    """(levels,) float64, rising: the noise levels i / levels, i = 1 .. levels, of a DDPM.

    At time 1 there is no signal; that level has LARGEST_BETA of the variance before it instead.
    """
    times = torch.arange(1, levels, dtype=torch.float64) / levels
    before = sigma_at(times)
    alpha_bar = 1.0 / (1.0 + before[-1] ** 2) if levels > 1 else torch.ones((), dtype=torch.float64)
    last = (1.0 / ((1.0 - LARGEST_BETA) * alpha_bar) - 1.0).sqrt()
    return torch.cat([before, last[None]])
