"""nll: maximum likelihood of the mixture on teacher samples, the baseline every claim needs.

Noise is added to the samples at first and falls to none, so that experts find the ways between
which a chunk chooses before they settle in them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vdd_ros.policies.denoiser import ScoreModel
from vdd_ros.policies.mixture import GaussianMixture
from vdd_ros.policies.moe import GaussianMoE
from vdd_ros.policies.objectives.base import Batch, Objective


@dataclass(frozen=True)
class Nll(Objective):
    """sigma_start: noise at the beginning, in normalised action units; settle: share of training
    over which it falls to zero.
    """

    sigma_start: float = 0.5
    settle: float = 0.5

    def loss(
        self,
        student: GaussianMoE,
        teacher: ScoreModel,
        batch: Batch,
        progress: float,
        generator: torch.Generator,
    ) -> Tensor:
        sigma = self.sigma_start * max(0.0, 1.0 - progress / self.settle)
        noise = torch.randn(batch.samples.shape, generator=generator)
        return forward_kl(student(batch.cond), batch.samples + sigma * noise)


def forward_kl(mixture: GaussianMixture, samples: Tensor) -> Tensor:
    """Forward KL to what samples (B, D) are drawn from, up to a constant, in nats per dimension."""
    return -mixture.log_prob(samples[:, None]).mean() / samples.shape[1]
