"""nll: maximum likelihood of the mixture on teacher samples, the baseline every claim needs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vdd_ros.policies.denoiser import ScoreModel
from vdd_ros.policies.moe import GaussianMoE
from vdd_ros.policies.objectives.base import Batch


@dataclass(frozen=True)
class Nll:
    """Forward KL to the teacher up to a constant, in nats per dimension."""

    def loss(
        self,
        student: GaussianMoE,
        teacher: ScoreModel,
        batch: Batch,
        progress: float,
        generator: torch.Generator,
    ) -> Tensor:
        mixture = student(batch.cond)
        return -mixture.log_prob(batch.samples[:, None]).mean() / batch.samples.shape[1]
