"""A net that says several points of a path at once (Zheng et al. 2023)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from vdd_ros.errors import UserError
from vdd_ros.policies.nets import DenoiserNet


class TemporalMixing(nn.Module):
    """x + leaky_relu(K x), K a convolution over time of the few lowest frequencies (Li et al.
    2021). (B, M, W) -> (B, M, W).

    A complex matrix for each frequency, in real numbers: so it can be exported and optimised as any
    other weight. They are 0 at first, and nothing is mixed.
    """

    def __init__(self, points: int, width: int, frequencies: int):
        super().__init__()
        if not 1 <= frequencies <= points // 2 + 1:
            raise ValueError(f"{points} points have no {frequencies} frequencies")
        which = torch.arange(frequencies)
        phase = 2 * math.pi * which[:, None] * torch.arange(points) / points
        wave = torch.stack([phase.cos(), -phase.sin()])  # (2, F, M): real and imaginary part
        # a frequency stands for its negative, too, but for the lowest and half the rate
        times = torch.where((which == 0) | (2 * which == points), 1.0, 2.0)
        self.register_buffer("to_waves", wave)
        self.register_buffer("from_waves", times[:, None] * wave / points)
        self.real = nn.Parameter(torch.zeros(frequencies, width, width))
        self.imaginary = nn.Parameter(torch.zeros(frequencies, width, width))

    def forward(self, x: Tensor) -> Tensor:
        cosine, sine = torch.einsum("cfm,bmw->cbfw", self.to_waves, x)
        turned = torch.stack(
            [
                self._times(cosine, self.real) - self._times(sine, self.imaginary),
                self._times(sine, self.real) + self._times(cosine, self.imaginary),
            ]
        )
        back = torch.einsum("cfm,cbfw->bmw", self.from_waves, turned)
        return x + nn.functional.leaky_relu(back)

    @staticmethod
    def _times(x: Tensor, matrix: Tensor) -> Tensor:
        """(B, F, W), (F, W, V) -> (B, F, V)."""
        return torch.einsum("bfw,fwv->bfv", x, matrix)


class PathNet(nn.Module):
    """F(x, noise, cond) for paths of `points` points, a row each, points of a path one after
    another; begins as the net that it is made of, of which each point knows nothing of the others.
    """

    def __init__(self, net: nn.Module, points: int, frequencies: int):
        super().__init__()
        if not isinstance(net, DenoiserNet):
            raise UserError(
                "points of a path are mixed between the blocks of a perceptron: distil from a "
                "teacher with net: mlp"
            )
        self.net, self.points, self.embedding_dim = net, points, net.embedding_dim
        width = net.enter.out_features
        self.mixing = nn.ModuleList(TemporalMixing(points, width, frequencies) for _ in net.blocks)

    def forward(
        self, x: Tensor, noise: Tensor, cond: Tensor, beside: Tensor | None = None
    ) -> Tensor:
        hidden, embedding = self.net.begin(x, noise, cond, beside)
        for block, mix in zip(self.net.blocks, self.mixing, strict=True):
            hidden = block(hidden, embedding)
            hidden = mix(hidden.unflatten(0, (-1, self.points))).flatten(0, 1)
        return self.net.leave(hidden)
