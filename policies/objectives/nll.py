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
    """coarse: share of training with diagonal covariances, several times cheaper and enough to find
    the ways; sigma_start, sigma_coarse, sigma_end: noise at the beginning, at the end of that share
    and at the end, in normalised action units; settle: share of the rest over which it falls.
    """

    coarse: float = 0.6
    sigma_start: float = 1.0
    sigma_coarse: float = 0.3
    sigma_end: float = 0.03
    settle: float = 0.8

    def sigma(self, progress: float) -> float:
        """Noise level at a progress of 0 to 1; it falls by equal factors in both parts."""
        if progress < self.coarse:
            return self.sigma_start * (self.sigma_coarse / self.sigma_start) ** (
                progress / self.coarse
            )
        done = min(1.0, (progress - self.coarse) / ((1.0 - self.coarse) * self.settle))
        return self.sigma_coarse * (self.sigma_end / self.sigma_coarse) ** done

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
        mixture = student(batch.cond, with_factors=progress >= self.coarse)
        log_prob = mixture.diffused(sigma).log_prob(noised[:, None])
        return -log_prob.mean() / batch.samples.shape[1]
