"""vdd: reverse KL to the teacher at every noise level, exact as a diffused mixture is a mixture.

For each observation o and expert z, with a = mu_z + L_z eps and a_sigma = a + sigma xi:

    gradient with respect to a:
        w(sigma) [ grad log q_sigma(a_sigma | o) - s_teacher(a_sigma; o, sigma) ]

weighted by the gating g_z(o), both terms held constant; w = sigma^2, which makes the bracket the
difference of two denoised chunks. The terms in log N_z and in the entropy of the published
estimator cancel in expectation and are left out (sticking the landing). At q = teacher this
gradient is zero for every single draw, so the fixed point is the teacher, not a blurred one.

sigma is log-uniform below sigma_max(t), which falls linearly, so that experts first find the modes
and then settle in one each; and not below sigma_max(t) / band, because a learned teacher knows the
score at a small sigma only where its own data are, and the student gets there last.

Experts start from maximum likelihood on teacher samples, with a whole schedule of the learning rate
to its end. The exact phase has one of its own, at a small rate: its gradients are those of single
draws, and at a large rate they throw experts off what the likelihood found. Reverse KL alone lets
few experts drop ways that they cannot tell apart, so the likelihood of teacher samples stays beside
it: both are least at the teacher. The gating is fitted to responsibilities on teacher samples
throughout.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from vdd_ros.policies.denoiser import ScoreModel, score
from vdd_ros.policies.mixture import GaussianMixture
from vdd_ros.policies.moe import GaussianMoE
from vdd_ros.policies.noise import log_uniform
from vdd_ros.policies.objectives.base import Batch, Objective
from vdd_ros.policies.objectives.nll import Nll, forward_kl, gating_entropy
from vdd_ros.policies.settings import given
from vdd_ros.policies.training import LastPhase


@dataclass(frozen=True)
class Vdd(Objective[GaussianMoE]):
    """observations: of a batch that the exact phase uses, each with K * S calls of the teacher;
    samples: S per expert and observation; sigmas in normalised action units; band: largest over
    smallest sigma at a time; start: share of training spent on the likelihood start; last_rate:
    learning rate of the exact phase over that of the start; settle: share of the exact phase over
    which sigma_max falls; forward_weight: of the likelihood beside the exact
    gradient, which costs some of the precision that reverse KL gains; sparsity: as in Nll.
    """

    summary: ClassVar[str] = "exact reverse KL of a mixture to the teacher, after likelihood"

    observations: int = 64
    samples: int = 1
    sigma_min: float = 0.01
    sigma_max_start: float = 1.0
    sigma_max_end: float = 0.3
    band: float = 100.0
    start: float = 0.9
    last_rate: float = 0.15
    settle: float = 0.7
    gating_weight: float = 1.0
    forward_weight: float = 0.3
    sparsity: float = 0.0

    def __post_init__(self):
        if not (0.0 <= self.start <= 1.0 and 0.0 < self.settle <= 1.0):
            raise ValueError(f"start and settle are shares of the training: {given(self)}")
        if not 0.0 < self.sigma_min < min(self.sigma_max_start, self.sigma_max_end):
            raise ValueError(f"sigma_min must be positive and the smallest sigma: {given(self)}")
        if self.last_rate <= 0.0:
            raise ValueError(f"last_rate must be positive: {given(self)}")
        if min(self.observations, self.samples) < 1 or self.band <= 1.0:
            raise ValueError(
                f"observations and samples must be positive, band above 1: {given(self)}"
            )
        if min(self.gating_weight, self.forward_weight, self.sparsity) < 0.0:
            raise ValueError(f"weights must not be negative: {given(self)}")

    @property
    def last_phase(self) -> LastPhase:
        """The exact phase, which comes when the likelihood's own schedule is over."""
        return LastPhase(self.start, self.last_rate)

    @property
    def first_phase(self) -> Nll:
        return Nll(sparsity=self.sparsity)

    def sigma_max(self, progress: float) -> float:
        """sigma_max(t), falling linearly after the start and then staying."""
        done = min(1.0, max(0.0, progress - self.start) / ((1.0 - self.start) * self.settle))
        return self.sigma_max_start + done * (self.sigma_max_end - self.sigma_max_start)

    @property
    def is_mean(self) -> bool:
        return not self.sparsity  # whose price is on the mean gating of the batch

    def loss(
        self,
        student: GaussianMoE,
        teacher: ScoreModel,
        batch: Batch,
        progress: float,
        generator: torch.Generator,
    ) -> Tensor:
        if progress < self.start:
            so_far = progress / self.start
            return self.first_phase.loss(student, teacher, batch, so_far, generator)
        every = student(batch.cond)
        mixture = GaussianMixture(*(part[: self.observations] for part in every))
        cond = batch.cond[: self.observations]
        high = self.sigma_max(progress)
        low = max(self.sigma_min, high / self.band)
        sigma = log_uniform(low, high, len(cond), generator)
        chunks = mixture.sample_components(self.samples, generator)  # (B, K, S, D)
        pull = reverse_kl_gradient(
            mixture.detach(), teacher, cond, chunks.detach(), sigma, generator
        )
        gating = mixture.log_weights.detach().exp()[:, :, None, None]
        expert_loss = (gating * pull * chunks).mean(2).sum((1, 2)).mean() / chunks.shape[-1]
        loss = expert_loss + self.gating_weight * gating_loss(every, batch.samples)
        if self.forward_weight:
            loss = loss + self.forward_weight * forward_kl(every, batch.samples)
        if self.sparsity:
            loss = loss + self.sparsity * gating_entropy(every)
        return loss


@torch.no_grad()
def reverse_kl_gradient(
    mixture: GaussianMixture,
    teacher: ScoreModel,
    cond: Tensor,
    chunks: Tensor,
    sigma: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """(B, K, S, D): w(sigma) [grad log q_sigma - s_teacher] at chunks + sigma xi; sigma: (B,)."""
    batch, experts, samples, dim = chunks.shape
    noise = torch.randn(chunks.shape, generator=generator, dtype=chunks.dtype)
    noised = chunks + sigma[:, None, None, None] * noise
    flat = noised.reshape(batch, experts * samples, dim)
    of_student = mixture.diffused(sigma).score(flat)
    repeats = experts * samples
    of_teacher = score(
        teacher,
        flat.reshape(batch * repeats, dim),
        sigma.repeat_interleave(repeats),
        cond.repeat_interleave(repeats, dim=0),
    ).view_as(flat)
    return (sigma[:, None, None] ** 2 * (of_student - of_teacher)).view_as(chunks)


def gating_loss(mixture: GaussianMixture, samples: Tensor) -> Tensor:
    """Cross-entropy of the gating to the responsibilities for samples (B, D); experts held."""
    responsibility = mixture.detach().log_responsibilities(samples[:, None])[:, 0].exp()
    return -(responsibility * mixture.log_weights).sum(-1).mean()
