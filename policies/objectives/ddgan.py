"""ddgan: a few large steps back, each drawn from more than a Gaussian (Xiao et al. 2022).

    x = D_student(x_t, z; t, o),  z ~ N(0, I)    then  x_s ~ q(x_s | x_t, x),  s the next level

is judged beside a demonstrated pair: d(x_s, x_t; t, o). Over a large step the way back has several
ends, which the mean and spread of a Gaussian cannot say; the latent z says which. The last step
ends at x itself. z is told to the net as more of the observation. Its weights are not 0 at first:
the noise in x_t is a latent, too, and a student that begins by ignoring z goes on to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from vdd_ros.errors import UserError
from vdd_ros.policies.denoiser import Denoiser
from vdd_ros.policies.nets import DenoiserNet
from vdd_ros.policies.noise import noised
from vdd_ros.policies.objectives.adversarial import (
    Adversarial,
    Judged,
    drawn,
    to_unit_variance,
)
from vdd_ros.policies.objectives.base import Batch
from vdd_ros.policies.samplers import Denoise, Draw
from vdd_ros.policies.settings import given
from vdd_ros.policies.teacher import SamplerConfig


@dataclass(frozen=True)
class Ddgan(Adversarial):
    """latent: numbers of z; steps: from sigma_max, the last from level `last` to a clean chunk."""

    summary: ClassVar[str] = "a few large steps back, each drawn by a latent and told from demos"
    paper: ClassVar[str] = "Xiao et al., ICLR 2022, arXiv:2112.07804"
    shows_pairs: ClassVar[bool] = True

    penalty: float = 0.02
    rate: float = 1.0
    latent: int = 4
    steps: int = 4
    last: float = 0.25

    def __post_init__(self):
        super().__post_init__()
        if min(self.latent, self.steps) < 1 or not 0.0 < self.last < self.sigma_max:
            raise ValueError(
                f"latent and steps are 1 or more, last between 0 and sigma_max: {given(self)}"
            )

    @property
    def recipe(self) -> SamplerConfig:
        return SamplerConfig("ancestral", self.steps, self.last, "log_uniform")

    def student(self, begin: Denoiser) -> Denoiser:
        student = super().student(begin)
        if not isinstance(student.net, DenoiserNet):
            raise UserError(
                "ddgan tells its latent to a perceptron, and this teacher's net is a transformer: "
                "distil a teacher with net mlp, or by ufogen or add"
            )
        student.net.enter = widened(student.net.enter, self.latent)
        return student

    def denoiser(self, student: Denoise, draw: Draw) -> Denoise:
        return lambda x, sigma, cond: student(x, sigma, self.with_latent(cond, draw))

    def with_latent(self, cond: Tensor, draw: Draw) -> Tensor:
        """(B, C) -> (B, C + latent)."""
        return torch.cat([cond, draw(cond.new_zeros(len(cond), self.latent))], dim=1)

    def examples(self, student: Denoiser, batch: Batch, generator: torch.Generator) -> Judged:
        count, levels = len(batch.demos), self.sigmas.to(batch.demos)
        first = drawn(levels[:-1], count, generator)
        high, low = levels[first], levels[first + 1]
        shown = noised(batch.demos, low, generator)
        x = noised(shown, (high**2 - low**2).sqrt(), generator)
        latent = torch.randn((count, self.latent), generator=generator, dtype=x.dtype)
        clean = student(x, high, torch.cat([batch.cond, latent], dim=1))
        made = posterior(x, clean, high, low, generator)
        made, shown, before = (
            to_unit_variance(chunks, sigma, student.sigma_data)
            for chunks, sigma in ((made, low), (shown, low), (x, high))
        )
        return Judged(clean, high, made, shown, high, before)


def posterior(
    x: Tensor, clean: Tensor, high: Tensor, low: Tensor, generator: torch.Generator
) -> Tensor:
    """(B, D): a draw at levels low (B,) of what came to be x at levels high (B,), if it came from
    clean (B, D)."""
    share = (low / high)[:, None] ** 2
    return noised(clean + share * (x - clean), low * (1.0 - share[:, 0]).sqrt(), generator)


def widened(layer: nn.Linear, count: int) -> nn.Linear:
    """The layer with `count` further inputs, listened to as those of an untrained one."""
    wide = nn.Linear(layer.in_features + count, layer.out_features)
    with torch.no_grad():
        wide.weight[:, : layer.in_features] = layer.weight
        wide.bias.copy_(layer.bias)
    return wide
