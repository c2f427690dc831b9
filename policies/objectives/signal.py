"""Students that are asked for points of a path by the noise it came from.

A point of the ODE is signal and noise, x_sigma = y_sigma + sigma z. The net is given z as its
teacher was at the highest level, and told the level whose signal y it has to say.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vdd_ros.policies.denoiser import Denoiser
from vdd_ros.policies.objectives.few_step import FewStep
from vdd_ros.policies.objectives.told import told


@dataclass(frozen=True)
class FromNoise(FewStep):
    """Its student begins with the teacher's first answer at every level. Levels below sigma_min are
    told as sigma_min."""

    @property
    def says_clean(self) -> bool:
        return False

    def student(self, begin: Denoiser) -> Denoiser:
        return told(super().student(begin))

    def signal(self, student: nn.Module, starts: Tensor, sigma: Tensor, cond: Tensor) -> Tensor:
        """(B, D): y at levels sigma (B,) or (1,), of starts sigma_max z (B, D)."""
        top = starts.new_full((1,), self.sigma_max)
        level = sigma.clamp_min(self.sigma_min).log() / 4.0
        return student(starts, top, torch.cat([cond, level.expand(len(cond))[:, None]], dim=1))

    def point(self, student: nn.Module, starts: Tensor, sigma: Tensor, cond: Tensor) -> Tensor:
        """(B, D): x at levels sigma (B,) or (1,)."""
        noise = (sigma / self.sigma_max)[:, None] * starts
        return self.signal(student, starts, sigma, cond) + noise
