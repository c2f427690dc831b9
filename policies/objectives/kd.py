"""kd: one call from noise to where the teacher's ODE leads (Luhman and Luhman 2021).

    |D_student(sigma_max z; sigma_max, o) - solve(sigma_max z -> 0; o)|^2

The targets are data: drawn once by a deterministic sampler, each with the noise it came from. With
another noise, or a sampler that adds some, the best answer is the mean of everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from vdd_ros.policies.denoiser import Denoiser, ScoreModel
from vdd_ros.policies.objectives.base import Paired
from vdd_ros.policies.objectives.compared import Compared


@dataclass(frozen=True)
class Kd(Compared):
    """sigma_max: the noise level of the starts."""

    summary: ClassVar[str] = "one call to where the teacher's ODE leads from the same noise"
    paper: ClassVar[str] = "Luhman and Luhman 2021, arXiv:2101.02388"
    is_map: ClassVar[bool] = True
    needs_starts: ClassVar[bool] = True

    def loss(
        self,
        student: Denoiser,
        teacher: ScoreModel,
        batch: Paired,
        progress: float,
        generator: torch.Generator,
    ) -> Tensor:
        sigma = batch.starts.new_full((1,), self.sigma_max)
        found = student(batch.starts, sigma, batch.cond)
        return self.mean_square(found, batch.samples, batch.cond)
