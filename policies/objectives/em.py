"""em: the same mixture fitted to the demonstrations themselves, without a teacher.

Expectation maximisation by gradient: with responsibilities r_k(a) held constant, the gradient of
    sum_k r_k(a) log [ g_k(o) N(a; mu_k(o), Sigma_k(o)) ]
is that of the log-likelihood (Neal and Hinton 1998). One step of the loop is therefore a step of
both, and em is `nll` on the demonstrations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from vdd_ros.policies.denoiser import ScoreModel
from vdd_ros.policies.moe import GaussianMoE
from vdd_ros.policies.objectives.base import Batch
from vdd_ros.policies.objectives.nll import Nll


@dataclass(frozen=True)
class Em(Nll):
    """Settings as in Nll."""

    summary: ClassVar[str] = "likelihood of the demonstrations under a mixture; no teacher"
    paper: ClassVar[str] = "Dempster, Laird and Rubin 1977"

    needs_demos: ClassVar[bool] = True
    needs_samples: ClassVar[bool] = False

    def loss(
        self,
        student: GaussianMoE,
        teacher: ScoreModel,
        batch: Batch,
        progress: float,
        generator: torch.Generator,
    ) -> Tensor:
        of_people = batch._replace(samples=batch.demos)
        return super().loss(student, teacher, of_people, progress, generator)
