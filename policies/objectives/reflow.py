"""reflow: paths of the ODE made straight (Liu et al. 2023).

A rectified flow goes from noise z at tau = 0 to a chunk a at tau = 1 with the velocity v:

    | v(x_tau; tau, o) - (a - z) |^2,    x_tau = tau a + (1 - tau) z

A denoiser is such a flow: with sigma = (1 - tau) / tau and x = x_tau / tau,
v = (D(x; sigma) - x_tau) / (1 - tau), and Euler's steps of the one are DDIM's of the other. So a
diffusion teacher is a first rectified flow, whose ODE pairs each z with an a. Learned from such
pairs, v is nearly constant along each path, and one step does what many did.

tau begins at TAU, where x_tau is z but for a hundredth of a chunk: at 0, sigma is infinite. A share
of all draws is TAU itself: the net hears ln sigma, which changes so fast there that few of evenly
drawn tau come near it, and one step is made from nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from vdd_ros.policies.denoiser import Denoiser, ScoreModel
from vdd_ros.policies.objectives.base import Paired
from vdd_ros.policies.objectives.few_step import FewStep
from vdd_ros.policies.samplers import SAMPLERS, Draw
from vdd_ros.policies.settings import given
from vdd_ros.policies.teacher import SamplerConfig

TAU = 1e-2
AT_BEGINNING = 0.1  # of all draws


@dataclass(frozen=True)
class Reflow(FewStep):
    """steps: in which its student is sampled, equal ones of tau."""

    summary: ClassVar[str] = "the teacher's paths from noise to a chunk, made straight"
    paper: ClassVar[str] = "Liu et al., ICLR 2023, arXiv:2209.03003"
    is_map: ClassVar[bool] = True
    needs_starts: ClassVar[bool] = True

    steps: int = 1

    def __post_init__(self):
        if self.steps < 1:
            raise ValueError(f"steps are 1 or more: {given(self)}")

    @property
    def recipe(self) -> SamplerConfig:
        return SamplerConfig("euler", self.steps)

    @cached_property
    def sigmas(self) -> Tensor:
        return levels(torch.linspace(TAU, 1.0, self.steps + 1, dtype=torch.float64))

    def sample(
        self, student: Denoiser, starts: Tensor, cond: Tensor, draw: Draw | None = None
    ) -> Tensor:
        x = starts / self.sigma_max / TAU
        return SAMPLERS[self.recipe.name](student, x, self.sigmas, cond)

    def loss(
        self,
        student: Denoiser,
        teacher: ScoreModel,
        batch: Paired,
        progress: float,
        generator: torch.Generator,
    ) -> Tensor:
        """(a - z) - v is (a - D) / (1 - tau)."""
        share = torch.rand((len(batch.cond),), generator=generator) / (1.0 - AT_BEGINNING)
        last = 1.0 / (1.0 + self.sigma_min)
        tau = TAU + (last - TAU) * (1.0 - share).clamp_min(0.0)
        sigma = levels(tau)
        x = batch.samples + sigma[:, None] * batch.starts / self.sigma_max
        missed = (batch.samples - student(x, sigma, batch.cond)) / (1.0 - tau)[:, None]
        return missed.square().mean()


def levels(tau: Tensor) -> Tensor:
    """Noise levels at times of a flow, 0 at the end."""
    return (1.0 - tau) / tau
