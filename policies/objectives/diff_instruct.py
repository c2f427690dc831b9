"""diff-instruct: reverse KL to the teacher, integrated over noise levels (Luo et al. 2023).

    g = D_fake(x_sigma) - D_teacher(x_sigma),    ln sigma ~ N(log_mean, log_std^2)

which is sigma^2 times the difference of scores, as in `vdd`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from vdd_ros.policies.noise import training_sigmas
from vdd_ros.policies.objectives.fake_score import FakeScore


@dataclass(frozen=True)
class DiffInstruct(FakeScore):
    """log_mean, log_std: of ln sigma, which is kept between sigma_min and sigma_max."""

    summary: ClassVar[str] = "reverse KL at all noise levels, with a learned own score"
    paper: ClassVar[str] = "Luo et al., NeurIPS 2023, arXiv:2305.18455"

    log_mean: float = -1.2
    log_std: float = 1.2

    def levels(self, count: int, generator: torch.Generator) -> Tensor:
        drawn = replace(self.noise, log_mean=self.log_mean, log_std=self.log_std)
        return training_sigmas(drawn, count, generator)

    def weight(self, sigma: Tensor, x: Tensor, real: Tensor) -> Tensor:
        return torch.ones_like(sigma)
