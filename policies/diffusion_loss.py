"""The teacher's loss: denoising score matching, weighted as EDM or as a DDPM weights it."""

from __future__ import annotations

import torch
from torch import Tensor

from vdd_ros.policies.denoiser import Denoiser
from vdd_ros.policies.noise import NoiseConfig, noised, training_sigmas
from vdd_ros.policies.predictions import DdpmPrediction, prediction_of


def denoising_loss(
    denoiser: Denoiser, chunks: Tensor, cond: Tensor, noise: NoiseConfig, generator: torch.Generator
) -> Tensor:
    """chunks: (B, D) normalised; cond: (B, C); noise: the levels of an EDM, a DDPM has its own."""
    if denoiser.prediction == "edm":
        return _edm_loss(denoiser, chunks, cond, noise, generator)
    return _ddpm_loss(denoiser, denoiser.prediction, chunks, cond, generator)


def _edm_loss(
    denoiser: Denoiser, chunks: Tensor, cond: Tensor, noise: NoiseConfig, generator: torch.Generator
) -> Tensor:
    """lambda(sigma) = (sigma^2 + sd^2) / (sigma sd)^2 (Karras et al. 2022, eq. 2)."""
    sigma = training_sigmas(noise, len(chunks), generator)
    x = noised(chunks, sigma, generator)
    sd = denoiser.sigma_data
    weight = (sigma**2 + sd**2) / (sigma * sd) ** 2
    error = denoiser(x, sigma, cond) - chunks
    return (weight * error.square().mean(1)).mean()


def _ddpm_loss(
    denoiser: Denoiser,
    kind: DdpmPrediction,
    chunks: Tensor,
    cond: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """Mean squared error of what is predicted, every level as often (Ho et al. 2020, eq. 14)."""
    levels = denoiser.level_sigmas.to(chunks.dtype)
    sigma = levels[torch.randint(len(levels), (len(chunks),), generator=generator)]
    x = noised(chunks, sigma, generator)
    aim = prediction_of(kind, chunks, x, sigma)
    return (denoiser.predict(x, sigma, cond) - aim).square().mean()
