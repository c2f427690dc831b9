"""The conditional 1-D U-Net of Diffusion Policy (Chi et al. 2023, section IV-A), as labs have it.

It convolves over the steps of a chunk. What is seen and the noise level enter every block by FiLM
(Perez et al. 2018): a scale and a shift per channel, or a shift alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

LAST_GROUPS = 8  # of the last block's norm, which no configuration of either project changes


@dataclass(frozen=True)
class UnetSizes:
    """channels: of each level, every one but the last halving the steps; embedding: numbers that
    tell the noise level; has_scale: whether FiLM scales, beside shifting."""

    action_dim: int
    cond_dim: int
    channels: tuple[int, ...]
    kernel: int = 5
    groups: int = 8
    embedding: int = 128
    has_scale: bool = True


class StepWaves(nn.Module):
    """(B,) -> (B, size): sines, then cosines of a level's index (Vaswani et al. 2017)."""

    def __init__(self, size: int):
        super().__init__()
        half = size // 2
        falling = torch.arange(half) * -(math.log(10_000.0) / (half - 1))
        self.register_buffer("frequencies", falling.exp(), persistent=False)

    def forward(self, index: Tensor) -> Tensor:
        phase = index[:, None] * self.frequencies
        return torch.cat([phase.sin(), phase.cos()], dim=1)


def conv_block(enter: int, leave: int, kernel: int, groups: int) -> nn.Sequential:
    """(B, enter, T) -> (B, leave, T)."""
    convolution = nn.Conv1d(enter, leave, kernel, padding=kernel // 2)
    return nn.Sequential(convolution, nn.GroupNorm(groups, leave), nn.Mish())


class FilmBlock(nn.Module):
    """(B, enter, T), (B, E) -> (B, leave, T)."""

    def __init__(self, enter: int, leave: int, told: int, sizes: UnetSizes):
        super().__init__()
        self.first = conv_block(enter, leave, sizes.kernel, sizes.groups)
        self.film = nn.Sequential(nn.Mish(), nn.Linear(told, leave * (1 + sizes.has_scale)))
        self.second = conv_block(leave, leave, sizes.kernel, sizes.groups)
        self.beside = nn.Conv1d(enter, leave, 1) if enter != leave else nn.Identity()
        self.has_scale = sizes.has_scale

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        hidden, film = self.first(x), self.film(told)[:, :, None]
        if self.has_scale:
            scale, shift = film.chunk(2, dim=1)
            hidden = scale * hidden + shift
        else:
            hidden = hidden + film
        return self.second(hidden) + self.beside(x)


class ConditionalUnet(nn.Module):
    """F(x, index, seen): (B, T, Da), (B,) or (1,), (B, C) -> (B, T, Da)."""

    def __init__(self, sizes: UnetSizes):
        super().__init__()
        wide, channels = sizes.embedding, sizes.channels
        self.embed = nn.Sequential(
            StepWaves(wide), nn.Linear(wide, 4 * wide), nn.Mish(), nn.Linear(4 * wide, wide)
        )
        told = wide + sizes.cond_dim
        pairs = list(zip((sizes.action_dim, *channels[:-1]), channels, strict=True))
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for level, (enter, leave) in enumerate(pairs):
            is_last = level == len(pairs) - 1
            fewer = nn.Identity() if is_last else nn.Conv1d(leave, leave, 3, 2, 1)
            self.down.append(_level(enter, leave, told, sizes, fewer))
        self.middle = nn.ModuleList(
            FilmBlock(channels[-1], channels[-1], told, sizes) for _ in range(2)
        )
        for leave, enter in reversed(pairs[1:]):
            more = nn.ConvTranspose1d(leave, leave, 4, 2, 1)
            self.up.append(_level(2 * enter, leave, told, sizes, more))
        self.last = conv_block(channels[0], channels[0], sizes.kernel, LAST_GROUPS)
        self.out = nn.Conv1d(channels[0], sizes.action_dim, 1)

    def forward(
        self, x: Tensor, index: Tensor, seen: Tensor, beside: Tensor | None = None
    ) -> Tensor:
        return self.out(self.hidden(x, index, seen, beside)).mT

    def hidden(
        self, x: Tensor, index: Tensor, seen: Tensor, beside: Tensor | None = None
    ) -> Tensor:
        """(B, channels[0], T): what it knows before its last layer."""
        level = self.embed(index)
        level = level if beside is None else level + beside
        told = torch.cat([level.expand(len(x), -1), seen], dim=1)
        x, kept = x.mT, []
        for first, second, fewer in self.down:
            x = second(first(x, told), told)
            kept.append(x)
            x = fewer(x)
        for block in self.middle:
            x = block(x, told)
        for first, second, more in self.up:
            x = torch.cat([x, kept.pop()], dim=1)
            x = more(second(first(x, told), told))
        return self.last(x)


def _level(enter: int, leave: int, told: int, sizes: UnetSizes, resize: nn.Module) -> nn.ModuleList:
    first = FilmBlock(enter, leave, told, sizes)
    return nn.ModuleList([first, FilmBlock(leave, leave, told, sizes), resize])


class UnetDenoiserNet(nn.Module):
    """A U-Net behind the interface of nets.DenoiserNet: F(x, index, cond): (B, T * Da), (B,) or
    (1,), (B, C) -> (B, T * Da); index: of a noise level, between the levels a fraction.

    to_seen, seen_at_zero: (C, S) and (S,), how the features of a Normalizer become the numbers
    that the U-Net knows.
    """

    def __init__(self, sizes: UnetSizes, steps: int, newest_dim: int, cond_dim: int):
        super().__init__()
        self.unet, self.steps, self.dim = ConditionalUnet(sizes), steps, steps * sizes.action_dim
        self.newest_dim, self.cond_dim = newest_dim, cond_dim
        self.embedding_dim, self.hidden_dim = sizes.embedding, sizes.channels[0]
        self.register_buffer("to_seen", torch.zeros(cond_dim, sizes.cond_dim))
        self.register_buffer("seen_at_zero", torch.zeros(sizes.cond_dim))

    def forward(
        self, x: Tensor, noise: Tensor, cond: Tensor, beside: Tensor | None = None
    ) -> Tensor:
        chunk = x.unflatten(1, (self.steps, -1))
        return self.unet(chunk, noise, self._seen(cond), beside).flatten(1)

    def hidden(self, x: Tensor, noise: Tensor, cond: Tensor) -> Tensor:
        """(B, W): what it knows before its last layer, over the steps of a chunk."""
        return self.unet.hidden(x.unflatten(1, (self.steps, -1)), noise, self._seen(cond)).mean(2)

    def _seen(self, cond: Tensor) -> Tensor:
        return cond @ self.to_seen + self.seen_at_zero
