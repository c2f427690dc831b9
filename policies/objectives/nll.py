"""nll: maximum likelihood of the mixture on teacher samples, the baseline every claim needs.

The likelihood is that of noised samples under the equally diffused mixture, and the noise falls
while training goes on. Chunks are smooth, so a mixture that fits them is thin in most directions;
without noise the gradient would be about those alone from the first step on, and the ways between
which a chunk chooses would come last.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vdd_ros.policies.denoiser import ScoreModel
from vdd_ros.policies.moe import GaussianMoE
from vdd_ros.policies.objectives.base import Batch


@dataclass(frozen=True)
class Nll:
    """sigma_start, sigma_end: of the noise, in normalised action units; settle: share of training
    over which it falls, by equal factors."""

    sigma_start: float = 1.0
    sigma_end: float = 0.02
    settle: float = 0.7

    def sigma(self, progress: float) -> float:
        """Noise level at a progress of 0 to 1."""
        done = min(1.0, progress / self.settle)
        return self.sigma_start * (self.sigma_end / self.sigma_start) ** done

    def loss(
        self,
        student: GaussianMoE,
        teacher: ScoreModel,
        batch: Batch,
        progress: float,
        generator: torch.Generator,
    ) -> Tensor:
        """Forward KL to the noised teacher up to a constant, in nats per dimension."""
        sigma = torch.full((len(batch.cond),), self.sigma(progress))
        noise = torch.randn(batch.samples.shape, generator=generator)
        noised = batch.samples + sigma[:, None] * noise
        log_prob = student(batch.cond).diffused(sigma).log_prob(noised[:, None])
        return -log_prob.mean() / batch.samples.shape[1]
