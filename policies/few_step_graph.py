"""A student that makes a chunk of noise as one ONNX graph: every call of its recipe written out.

policy.onnx    window (To, Do), noise (K, N) -> log_gating (K,), means (K, H, Da)

Of each of K samples the first R of N numbers are where it starts; the others are what its recipe
draws on its way, in that order. All of it is an input: the same noise gives the same chunk.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from vdd_ros.policies.export import Units, to_onnx
from vdd_ros.policies.runs import FewStepStudent


class Dealt:
    """Noise (K, N) that is dealt out, as much as a recipe asks for at a time."""

    def __init__(self, noise: Tensor):
        self.noise, self.used = noise, 0

    def __call__(self, like: Tensor) -> Tensor:
        """In the shape of `like`, (K, ...)."""
        begin, self.used = self.used, self.used + math.prod(like.shape[1:])
        return self.noise[:, begin : self.used].reshape(like.shape)


class ActingFewStep(nn.Module):
    """A policy whose samples are all equally likely, as a teacher's."""

    def __init__(self, student: FewStepStudent):
        super().__init__()
        self.net, self.units = student.net, Units(student.normalizer)
        self.objective, self.dim = student.objective, student.normalizer.sizes[-1]

    def forward(self, window: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        cond, count = self.units.features(window), noise.shape[0]
        starts = self.objective.sigma_max * noise[:, : self.dim]
        draw = Dealt(noise[:, self.dim :])
        chunks = self.objective.sample(self.net, starts, cond.expand(count, -1), draw)
        return torch.full((count,), -math.log(count)), self.units.chunk(chunks, cond)


@torch.no_grad()
def noise_size(student: FewStepStudent) -> int:
    """N: how many numbers a sample takes. It is sampled to see, which also makes its levels."""
    _, cond_dim, dim = student.normalizer.sizes
    drawn = []

    def draw(like: Tensor) -> Tensor:
        drawn.append(math.prod(like.shape[1:]))
        return torch.zeros_like(like)

    student.objective.sample(student.net, torch.zeros(1, dim), torch.zeros(1, cond_dim), draw)
    return dim + sum(drawn)


def few_step_graph(
    student: FewStepStudent, window_shape: tuple[int, int], candidates: int = 1
) -> bytes:
    """policy.onnx of a student, for so many samples at a time."""
    example = (torch.zeros(window_shape), torch.zeros(candidates, noise_size(student)))
    return to_onnx(ActingFewStep(student), example, ["window", "noise"], ["log_gating", "means"])
