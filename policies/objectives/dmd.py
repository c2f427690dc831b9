"""dmd: distribution matching beside a regression that ties noise to chunks (Yin et al. 2024).

    g = (D_fake - D_teacher) / mean |x - D_teacher|       levels spread as a sampler's

    + regression |D_student(sigma_init z; sigma_init, o) - solve(sigma_max z -> 0; o)|^2

The first matches the distribution, each row at the same strength; the mean is over the numbers of a
chunk. The second keeps every mode that the teacher's ODE leads to. Its pairs are drawn once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from vdd_ros.policies.denoiser import ScoreModel
from vdd_ros.policies.objectives.base import STUDENT
from vdd_ros.policies.objectives.fake_score import FakeScore
from vdd_ros.policies.players import Nets
from vdd_ros.policies.settings import given

TINY = 1e-6  # of a distance, for a row where there is nothing to do


@dataclass(frozen=True)
class DistributionMatching(FakeScore):
    """margin: share of a sampler's levels that is left out at either end."""

    margin: float = 0.02

    def __post_init__(self):
        super().__post_init__()
        if not 0.0 <= self.margin < 0.5:
            raise ValueError(f"margin is 0 or more and below a half: {given(self)}")

    def levels(self, count: int, generator: torch.Generator) -> Tensor:
        rho = self.noise.rho
        low, high = self.sigma_min ** (1 / rho), self.sigma_max ** (1 / rho)
        at = self.margin + (1 - 2 * self.margin) * torch.rand(count, generator=generator)
        return (low + (high - low) * at) ** rho

    def weight(self, sigma: Tensor, x: Tensor, real: Tensor) -> Tensor:
        return 1.0 / (x - real).abs().mean(1).clamp_min(TINY)


@dataclass(frozen=True)
class Dmd(DistributionMatching):
    """regression: weight of the pairs, without which they are not read."""

    summary: ClassVar[str] = "distribution matching, and regression to ends of the teacher's ODE"
    paper: ClassVar[str] = "Yin et al., CVPR 2024, arXiv:2311.18828"
    needs_samples: ClassVar[bool] = True
    needs_starts: ClassVar[bool] = True

    sigma_init: float = 10.0
    regression: float = 0.25

    def __post_init__(self):
        super().__post_init__()
        if self.regression < 0.0:
            raise ValueError(f"regression must not be negative: {given(self)}")

    def student_loss(
        self, nets: Nets, teacher: ScoreModel, batch: Any, generator: torch.Generator
    ) -> Tensor:
        """batch: a Paired."""
        loss = super().student_loss(nets, teacher, batch, generator)
        if self.regression:
            ends = self.sample(nets[STUDENT], batch.starts, batch.cond)
            loss = loss + self.regression * (ends - batch.samples).square().mean()
        return loss
