"""The teacher's loss: denoising score matching with EDM's weighting (Karras et al. 2022, eq. 2)."""

from __future__ import annotations

import torch
from torch import Tensor

from vdd_ros.policies.denoiser import Denoiser
from vdd_ros.policies.noise import NoiseConfig, training_sigmas


def denoising_loss(
    denoiser: Denoiser, chunks: Tensor, cond: Tensor, noise: NoiseConfig, generator: torch.Generator
) -> Tensor:
    """chunks: (B, D) normalised; cond: (B, C). lambda(sigma) = (sigma^2 + sd^2) / (sigma sd)^2."""
    sigma = training_sigmas(noise, len(chunks), generator)
    noised = chunks + sigma[:, None] * torch.randn(chunks.shape, generator=generator)
    sd = denoiser.sigma_data
    weight = (sigma**2 + sd**2) / (sigma * sd) ** 2
    error = denoiser(noised, sigma, cond) - chunks
    return (weight * error.square().mean(1)).mean()
