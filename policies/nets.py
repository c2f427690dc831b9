"""The raw networks: residual perceptrons on flat vectors."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class FourierFeatures(nn.Module):
    """x and its sines and cosines at octaves of the given lowest frequency. (B, C) -> (B, size).

    A perceptron learns a sharp change with position (an obstacle's edge) slowly; on these features
    it does not have to (Tancik et al. 2020).
    """

    def __init__(self, dim: int, octaves: int, lowest: float):
        super().__init__()
        self.register_buffer("frequencies", lowest * 2.0 ** torch.arange(octaves))
        self.size = dim * (1 + 2 * octaves)

    def forward(self, x: Tensor) -> Tensor:
        phase = (x[:, :, None] * self.frequencies).flatten(1)
        return torch.cat([x, phase.sin(), phase.cos()], dim=1)


class ResidualBlock(nn.Module):
    """x + W2 silu(W1 norm(x)); an `embedding` scales and shifts it before the nonlinearity."""

    def __init__(self, width: int, embedding: int = 0):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.wide, self.back = nn.Linear(width, width), nn.Linear(width, width)
        self.modulate = nn.Linear(embedding, 2 * width) if embedding else None

    def forward(self, x: Tensor, embedding: Tensor | None = None) -> Tensor:
        hidden = self.wide(self.norm(x))
        if self.modulate is not None:
            scale, shift = self.modulate(embedding).chunk(2, dim=1)
            hidden = hidden * (1 + scale) + shift
        return x + self.back(nn.functional.silu(hidden))


class DenoiserNet(nn.Module):
    """F(x, c_noise, cond): (B, D), (B,), (B, C) -> (B, D)."""

    EMBEDDING = 128

    def __init__(self, dim: int, cond_dim: int, width: int, blocks: int, octaves: int):
        super().__init__()
        self.noise_features = FourierFeatures(1, 8, lowest=math.pi / 4)
        self.cond_features = FourierFeatures(cond_dim, octaves, lowest=math.pi / 2)
        self.embed = nn.Sequential(
            nn.Linear(self.noise_features.size + self.cond_features.size, 2 * self.EMBEDDING),
            nn.SiLU(),
            nn.Linear(2 * self.EMBEDDING, self.EMBEDDING),
            nn.SiLU(),
        )
        self.enter = nn.Linear(dim, width)
        self.blocks = nn.ModuleList(ResidualBlock(width, self.EMBEDDING) for _ in range(blocks))
        self.leave = nn.Linear(width, dim)
        nn.init.zeros_(self.leave.weight)  # starts as the best linear denoiser
        nn.init.zeros_(self.leave.bias)

    def forward(self, x: Tensor, c_noise: Tensor, cond: Tensor) -> Tensor:
        features = [self.noise_features(c_noise[:, None]), self.cond_features(cond)]
        embedding = self.embed(torch.cat(features, dim=1))
        x = self.enter(x)
        for block in self.blocks:
            x = block(x, embedding)
        return self.leave(x)


class Trunk(nn.Module):
    """(B, C) -> (B, width): what the student's heads share."""

    def __init__(self, cond_dim: int, width: int, blocks: int, octaves: int):
        super().__init__()
        self.features = FourierFeatures(cond_dim, octaves, lowest=math.pi / 2)
        self.enter = nn.Linear(self.features.size, width)
        self.blocks = nn.ModuleList(ResidualBlock(width) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)

    def forward(self, cond: Tensor) -> Tensor:
        x = self.enter(self.features(cond))
        for block in self.blocks:
            x = block(x)
        return nn.functional.silu(self.norm(x))


def count_parameters(module: nn.Module) -> int:
    """Numbers that training changes."""
    return sum(parameter.numel() for parameter in module.parameters())
