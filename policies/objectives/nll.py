"""nll: maximum likelihood of the mixture on teacher samples, the baseline every claim needs.

Noise is added to the samples at first and falls to none, so that experts find the ways between
which a chunk chooses before they settle in them.

Of experts that coincide the likelihood does not care which one is used. `sparsity` lets one of them
take over, by a price on the entropy of how often each expert is used; the others can be pruned.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from vdd_ros.policies.denoiser import ScoreModel
from vdd_ros.policies.mixture import GaussianMixture
from vdd_ros.policies.moe import GaussianMoE
from vdd_ros.policies.objectives.base import Batch, Objective
from vdd_ros.policies.settings import given
from vdd_ros.policies.training import LastPhase


@dataclass(frozen=True)
class Nll(Objective[GaussianMoE]):
    """sigma_start: noise at the beginning, in normalised action units; settle: share of training
    over which it falls to zero; start: share of training after which the schedule of the learning
    rate runs once more, at last_rate times the rate, 1: it does not; sparsity: weight of the
    entropy of the gating's mean, 0 or more.
    """

    summary: ClassVar[str] = "likelihood of the teacher's samples under a mixture"

    sigma_start: float = 0.5
    settle: float = 0.5
    start: float = 1.0
    last_rate: float = 0.15
    sparsity: float = 0.0

    def __post_init__(self):
        if not 0.0 < self.settle <= 1.0:
            raise ValueError(f"settle is a share of the training: {given(self)}")
        if not (0.0 < self.start <= 1.0 and self.last_rate > 0.0):
            raise ValueError(f"start is a share of the training, last_rate positive: {given(self)}")
        if min(self.sigma_start, self.sparsity) < 0.0:
            raise ValueError(f"sigma_start and sparsity must not be negative: {given(self)}")

    @property
    def is_mean(self) -> bool:
        return not self.sparsity  # whose price is on the mean gating of the batch

    @property
    def last_phase(self) -> LastPhase | None:
        """A second schedule, as vdd has one for its exact phase: so both can be compared."""
        return None if self.start == 1.0 else LastPhase(self.start, self.last_rate)

    @property
    def first_phase(self) -> Objective:
        return replace(self, start=1.0, last_rate=Nll.last_rate)

    def loss(
        self,
        student: GaussianMoE,
        teacher: ScoreModel,
        batch: Batch,
        progress: float,
        generator: torch.Generator,
    ) -> Tensor:
        sigma = self.sigma_start * max(0.0, 1.0 - progress / self.start / self.settle)
        noise = torch.randn(batch.samples.shape, generator=generator)
        mixture = student(batch.cond)
        loss = forward_kl(mixture, batch.samples + sigma * noise)
        if self.sparsity:
            loss = loss + self.sparsity * gating_entropy(mixture)
        return loss


def forward_kl(mixture: GaussianMixture, samples: Tensor) -> Tensor:
    """Forward KL to what samples (B, D) are drawn from, up to a constant, in nats per dimension."""
    return -mixture.log_prob(samples[:, None]).mean() / samples.shape[1]


def gating_entropy(mixture: GaussianMixture) -> Tensor:
    """Entropy of how often each expert is used over all observations [nats]."""
    share = mixture.log_weights.exp().mean(0)
    return -torch.xlogy(share, share).sum()
