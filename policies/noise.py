"""Noise that networks are trained at (EDM notation); spacing.py: the levels of samplers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class NoiseConfig:
    """sigma is in normalised action units.

    Normalised numbers have about unit variance (see Normalizer); sigma_max is so far above it that
    nothing of a chunk shows through.
    """

    sigma_min: float = 0.01
    sigma_max: float = 40.0
    log_mean: float = -0.5  # P_mean of Karras et al. 2022, Table 1
    log_std: float = 1.6  # P_std
    rho: float = 7.0

    def __post_init__(self):
        if not 0.0 < self.sigma_min < self.sigma_max:
            raise ValueError(
                f"need 0 < sigma_min < sigma_max, got {self.sigma_min}, {self.sigma_max}"
            )


def training_sigmas(config: NoiseConfig, count: int, generator: torch.Generator) -> Tensor:
    """(count,) ln sigma ~ N(P_mean, P_std^2), kept inside the range (Karras et al. 2022, eq. 8)."""
    log_sigma = config.log_mean + config.log_std * torch.randn(count, generator=generator)
    return log_sigma.exp().clamp(config.sigma_min, config.sigma_max)


def noised(chunks: Tensor, sigma: Tensor, generator: torch.Generator) -> Tensor:
    """(B, D) chunks with noise of sigma, (B,) or (1,), in their precision."""
    noise = torch.randn(chunks.shape, generator=generator, dtype=chunks.dtype)
    return chunks + sigma[:, None] * noise


def log_uniform(low: float, high: float, count: int, generator: torch.Generator) -> Tensor:
    """(count,) sigmas, log-uniform in [low, high]."""
    u = torch.rand(count, generator=generator)
    return torch.exp(torch.log(torch.tensor(low)) * (1 - u) + torch.log(torch.tensor(high)) * u)
