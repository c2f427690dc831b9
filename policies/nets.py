"""The raw networks: residual perceptrons on flat vectors."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

NetKind = Literal["mlp", "transformer"]


class NetSizes(NamedTuple):
    """What a network is made for: numbers of the newest observation, of all of cond, of a chunk;
    images: how many blocks of image_dim numbers cond ends with."""

    newest_dim: int
    cond_dim: int
    dim: int
    images: int = 0
    image_dim: int = 0


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


def reading_waves(dim: int, octaves: int) -> FourierFeatures:
    """Features of standardised readings."""
    return FourierFeatures(dim, octaves, lowest=math.pi / 2)


def noise_waves() -> FourierFeatures:
    """Features of a noise level, given as one number of the order of 1."""
    return FourierFeatures(1, 8, lowest=math.pi / 4)


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


class ObservationFeatures(nn.Module):
    """(B, C) -> (B, size): Fourier features of the newest observation, the first numbers of cond,
    and the differences as they are: of a speed one needs to know little more than its size, and
    its measurement noise must not be magnified.
    """

    def __init__(self, newest_dim: int, cond_dim: int, octaves: int):
        super().__init__()
        self.newest_dim = newest_dim
        self.newest = reading_waves(newest_dim, octaves)
        self.size = self.newest.size + cond_dim - newest_dim

    def forward(self, cond: Tensor) -> Tensor:
        newest, differences = cond[:, : self.newest_dim], cond[:, self.newest_dim :]
        return torch.cat([self.newest(newest), differences], dim=1)


class DenoiserNet(nn.Module):
    """F(x, noise, cond): (B, D), (B,) or (1,), (B, C) -> (B, D); noise: a number of the order of 1,
    one for all rows or one for each; beside: (B, embedding_dim), added to what is made of it."""

    EMBEDDING = 128

    def __init__(
        self, dim: int, newest_dim: int, cond_dim: int, width: int, blocks: int, octaves: int
    ):
        super().__init__()
        self.embedding_dim, self.hidden_dim = self.EMBEDDING, width
        self.noise_features = noise_waves()
        self.observation = ObservationFeatures(newest_dim, cond_dim, octaves)
        self.embed = nn.Sequential(nn.Linear(self.noise_features.size, self.EMBEDDING), nn.SiLU())
        self.enter = nn.Linear(dim + self.observation.size, width)
        self.blocks = nn.ModuleList(ResidualBlock(width, self.EMBEDDING) for _ in range(blocks))
        self.leave = nn.Linear(width, dim)
        nn.init.zeros_(self.leave.weight)  # starts as the best linear denoiser
        nn.init.zeros_(self.leave.bias)

    def forward(
        self, x: Tensor, noise: Tensor, cond: Tensor, beside: Tensor | None = None
    ) -> Tensor:
        return self.leave(self.hidden(x, noise, cond, beside))

    def hidden(
        self, x: Tensor, noise: Tensor, cond: Tensor, beside: Tensor | None = None
    ) -> Tensor:
        """(B, width): what it knows before its last layer."""
        hidden, embedding = self.begin(x, noise, cond, beside)
        for block in self.blocks:
            hidden = block(hidden, embedding)
        return hidden

    def begin(
        self, x: Tensor, noise: Tensor, cond: Tensor, beside: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """(B, width) and (B, embedding_dim) or (1, embedding_dim): what the blocks are given."""
        level, bend = self.embed
        embedding = level(self.noise_features(noise[:, None]))
        embedding = bend(embedding if beside is None else embedding + beside)
        return self.enter(torch.cat([x, self.observation(cond)], dim=1)), embedding


class Told(nn.Module):
    """A net that is told `count` numbers more, of the order of 1: the last ones of its cond.

    They are added to what it makes of the noise level, by weights that are 0 at first: it begins as
    the net that it is made of.
    """

    OCTAVES = 4

    def __init__(self, net: nn.Module, count: int):
        super().__init__()
        self.net, self.count = net, count
        self.waves = FourierFeatures(count, self.OCTAVES, lowest=math.pi / 4)
        self.beside = nn.Linear(self.waves.size, net.embedding_dim)
        nn.init.zeros_(self.beside.weight)
        nn.init.zeros_(self.beside.bias)

    def forward(self, x: Tensor, noise: Tensor, cond: Tensor) -> Tensor:
        cond, more = cond[:, : -self.count], cond[:, -self.count :]
        return self.net(x, noise, cond, self.beside(self.waves(more)))


class Trunk(nn.Module):
    """(B, C) -> (B, width): what the student's heads share."""

    def __init__(self, newest_dim: int, cond_dim: int, width: int, blocks: int, octaves: int):
        super().__init__()
        self.observation = ObservationFeatures(newest_dim, cond_dim, octaves)
        self.enter = nn.Linear(self.observation.size, width)
        self.blocks = nn.ModuleList(ResidualBlock(width) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)

    def forward(self, cond: Tensor) -> Tensor:
        x = self.enter(self.observation(cond))
        for block in self.blocks:
            x = block(x)
        return nn.functional.silu(self.norm(x))


def count_parameters(module: nn.Module) -> int:
    """Numbers that training changes."""
    return sum(parameter.numel() for parameter in module.parameters())
