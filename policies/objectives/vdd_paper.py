"""vdd-paper: the published objective (Zhou et al. 2024, NeurIPS, arXiv 2406.12538), kept as it is.

Experts climb  s_sigma(a) . a + log r_z(a) + H_z  at un-noised samples a of the student, the
teacher's score taken at sigma ~ U(0.2, 0.5); the gating is fitted to responsibilities for
demonstrations. The student it converges to is a blurred teacher: standard deviation at least about
0.32 in normalised units. Responsibilities are computed in log space; the released code's floor of
1e-8 underflows for chunks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from vdd_ros.policies.denoiser import ScoreModel, score
from vdd_ros.policies.moe import GaussianMoE
from vdd_ros.policies.objectives.base import Batch
from vdd_ros.policies.objectives.vdd import gating_loss


@dataclass(frozen=True)
class VddPaper:
    """observations: of a batch that are used, as in Vdd; samples: V of the paper
    (vi_batch_size).
    """

    observations: int = 64
    samples: int = 2
    sigma_low: float = 0.2
    sigma_high: float = 0.5

    changes_at: ClassVar[None] = None

    def loss(
        self,
        student: GaussianMoE,
        teacher: ScoreModel,
        batch: Batch,
        progress: float,
        generator: torch.Generator,
    ) -> Tensor:
        batch = Batch(*(part[: self.observations] for part in batch))
        mixture = student(batch.cond)
        held = mixture.detach()
        chunks = mixture.sample_components(self.samples, generator)  # (B, K, V, D)
        count, experts, samples, dim = chunks.shape
        flat = chunks.reshape(count, experts * samples, dim)
        u = torch.rand(count * experts * samples, generator=generator)
        sigma = self.sigma_low + (self.sigma_high - self.sigma_low) * u
        with torch.no_grad():
            pull = score(
                teacher,
                flat.reshape(-1, dim),
                sigma,
                batch.cond.repeat_interleave(experts * samples, dim=0),
            ).view_as(chunks)
        own = held.log_responsibilities(flat).view(count, experts, samples, experts)
        log_r = own.diagonal(dim1=1, dim2=3).permute(0, 2, 1)  # (B, K, V): log r_z at z's samples
        gain = ((pull * chunks).sum(-1) + log_r).mean(2) + mixture.entropy_of_components()
        expert_loss = -(held.log_weights.exp() * gain).sum(1).mean() / dim
        return expert_loss + gating_loss(mixture, batch.demos)
