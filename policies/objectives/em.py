"""em: the same mixture fitted to the demonstrations themselves, without a teacher.

Expectation maximisation by gradient: with responsibilities r_k(a) held constant, the gradient of
    sum_k r_k(a) log [ g_k(o) N(a; mu_k(o), Sigma_k(o)) ]
is that of the log-likelihood (Neal and Hinton 1998), so one step of the loop is a step of both. As
in `nll`, noise is added to the chunks at first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from vdd_ros.policies.denoiser import ScoreModel
from vdd_ros.policies.moe import GaussianMoE
from vdd_ros.policies.objectives.base import Batch


@dataclass(frozen=True)
class Em:
    """sigma_start, settle: as in Nll."""

    sigma_start: float = 0.5
    settle: float = 0.5

    changes_at: ClassVar[None] = None

    def loss(
        self,
        student: GaussianMoE,
        teacher: ScoreModel,
        batch: Batch,
        progress: float,
        generator: torch.Generator,
    ) -> Tensor:
        sigma = self.sigma_start * max(0.0, 1.0 - progress / self.settle)
        noise = torch.randn(batch.demos.shape, generator=generator)
        chunks = (batch.demos + sigma * noise)[:, None]
        mixture = student(batch.cond)
        responsibility = mixture.detach().log_responsibilities(chunks).exp()
        joint = mixture.log_weights[:, None] + mixture.component_log_prob(chunks)
        return -(responsibility * joint).sum(-1).mean() / chunks.shape[-1]
