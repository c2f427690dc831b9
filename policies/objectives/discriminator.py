"""Discriminator: how much a chunk looks demonstrated, under its observation.

Without the observation a student would be told which chunks there are, and not when. A perceptron
in the form of the denoiser's net is enough for numbers that are a few dozen; it knows the noise
level of what it judges.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from vdd_ros.policies.nets import DenoiserNet
from vdd_ros.policies.transformer import TransformerDenoiserNet
from vdd_ros.policies.unet import UnetDenoiserNet

OCTAVES = 4  # where a teacher itself has no waves of what is seen


class Sizes(NamedTuple):
    """Of chunks and observations, as nets.DenoiserNet has them."""

    dim: int
    newest_dim: int
    cond_dim: int
    octaves: int


class Discriminator(nn.Module):
    """sizes: their dim is that of all that is judged together."""

    def __init__(self, sizes: Sizes, width: int, blocks: int):
        super().__init__()
        dim, newest_dim, cond_dim, octaves = sizes
        self.net = DenoiserNet(dim, newest_dim, cond_dim, width, blocks, octaves)
        self.net.leave = nn.Linear(width, 1)

    def forward(
        self, chunks: Tensor, sigma: Tensor, cond: Tensor, beside: Tensor | None = None
    ) -> Tensor:
        """(B, D) about as wide as 1, (B,) noise levels, (B, C) -> (B,), high for what looks
        demonstrated; beside: (B, D') what the chunks are judged together with."""
        whole = chunks if beside is None else torch.cat([chunks, beside], dim=1)
        return self.net(whole, sigma.log() / 4.0, cond)[:, 0]


def sizes_of(net: nn.Module) -> Sizes:
    """Of a denoiser's net."""
    if isinstance(net, TransformerDenoiserNet):
        window = net.window
        cond_dim = window.newest_dim * window.count
        return Sizes(net.dim, window.newest_dim, cond_dim, len(window.waves.frequencies))
    if isinstance(net, UnetDenoiserNet):
        return Sizes(net.dim, net.newest_dim, net.cond_dim, OCTAVES)
    assert isinstance(net, DenoiserNet)
    seen = net.observation
    cond_dim = seen.size - seen.newest.size + seen.newest_dim
    octaves = len(seen.newest.frequencies)
    return Sizes(net.leave.out_features, seen.newest_dim, cond_dim, octaves)


def squared_slope(judge: Callable[[Tensor], Tensor], shown: Tensor) -> Tensor:
    """(B,): |d judge / d chunk|^2 at what was demonstrated (B, D), to be trained through: R1 of
    Mescheder et al. 2018, without which a discriminator grows steep and its student circles."""
    shown = shown.detach().requires_grad_()
    (slope,) = torch.autograd.grad(judge(shown).sum(), shown, create_graph=True)
    return slope.square().sum(1)
