"""boot: the signal of a path, level by level from the noise down, without data (Gu et al. 2023).

A point of the ODE is signal and noise, x_sigma = y_sigma + sigma z, with the z that it came from:

    dy / dsigma = (y - D(y + sigma z; sigma)) / sigma

The student says y from z and the level alone. At level s, the next below t, it has to say where one
step of that equation leads from what it says at t itself, and at the top the teacher's answer:

    | y(z, s) - sg[ y(z, t) + step ] |^2 + b | y(z, top) - D(top z; top) |^2,    top = sigma_max

Errors go down with the levels, where a consistency function's go up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from vdd_ros.policies.denoiser import Denoiser, ScoreModel
from vdd_ros.policies.objectives.base import Batch
from vdd_ros.policies.objectives.signal import FromNoise
from vdd_ros.policies.objectives.steps import heun_step
from vdd_ros.policies.samplers import Draw
from vdd_ros.policies.settings import given
from vdd_ros.policies.spacing import rho


@dataclass(frozen=True)
class Boot(FromNoise):
    """levels: from sigma_max to sigma_min; boundary_weight: of the answer at the top."""

    summary: ClassVar[str] = "the signal along the teacher's ODE, from noise alone, without data"
    paper: ClassVar[str] = "Gu et al. 2023, arXiv:2306.05544"
    needs_samples: ClassVar[bool] = False
    is_map: ClassVar[bool] = True

    levels: int = 18
    boundary_weight: float = 1.0

    def __post_init__(self):
        if self.levels < 2 or self.boundary_weight < 0.0:
            raise ValueError(
                f"levels are 2 or more, boundary_weight is not negative: {given(self)}"
            )

    def sample(
        self, student: Denoiser, starts: Tensor, cond: Tensor, draw: Draw | None = None
    ) -> Tensor:
        return self.point(student, starts, starts.new_full((1,), self.sigma_min), cond)

    def loss(
        self,
        student: nn.Module,
        teacher: ScoreModel,
        batch: Batch,
        progress: float,
        generator: torch.Generator,
    ) -> Tensor:
        """Of one pair of neighbouring levels for each row; the demonstrations are not looked at."""
        cond = batch.cond
        grid = rho(self.levels, self.sigma_max, self.sigma_min, self.noise.rho).float()
        level = torch.randint(self.levels - 1, (len(cond),), generator=generator)
        high, low = grid[level], grid[level + 1]
        starts = self.sigma_max * torch.randn(batch.demos.shape, generator=generator)
        with torch.no_grad():
            x = self.point(student, starts, high, cond)
            below = heun_step(teacher, x, high, low, cond)
            top = grid[:1].expand(len(cond))
            first = teacher.denoise(starts, top, cond)
        missed = (self.point(student, starts, low, cond) - below).square().mean()
        at_top = (self.signal(student, starts, top, cond) - first).square().mean()
        return missed + self.boundary_weight * at_top
