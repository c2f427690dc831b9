"""vdd-paper: the published objective (Zhou et al. 2024, NeurIPS, arXiv 2406.12538), kept as it is.

Two learn in turn. Experts climb, twice a step and each time on a fresh batch,

    s_t(a) . a + log r_z(a) + H_z        at un-noised samples a of the student,

weighted by the gating, where s_t is the teacher's score at a noise level drawn for each sample. The
gating's own layer is then fitted once to responsibilities for demonstrations; what it reads, the
trunk, belongs to the experts.

The score is asked for at the sample itself, neither noised nor scaled, whatever the level:

    sigma levels (EDM)       sigma ~ U(sigma_low, sigma_high)   s(a) = (D(a; sigma) - a) / sigma^2
    timestep levels (DDPM)   t ~ U{t_low .. t_high} of T        s(a) = -eps(a, t) / sigma_t

with alpha_t^2 + sigma_t^2 = 1 of the cosine schedule. A denoiser of x = z / alpha_t at sigma_t /
alpha_t gives the second as (alpha_t D(a / alpha_t; sigma_t / alpha_t) - a) / sigma_t^2.

So the student it converges to is not the teacher. Where that is N(m, S^2), one expert ends with

    sigma levels       mean m,  variance 1 / E[1 / (S^2 + sigma^2)]: std .316 for S -> 0
    timestep levels    w_t = 1 / (alpha_t^2 S^2 + sigma_t^2): mean m E[w alpha] / E[w], variance
                       1 / E[w]: mean .825 m, std .55 for S -> 0 and t in 1..4 of 8

Not kept are faults of the released code: responsibilities in probability space above a floor of
1e-8, which underflow for chunks; a rate that reaches zero at half of the training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from vdd_ros.policies.cosine import level_sigmas
from vdd_ros.policies.denoiser import ScoreModel
from vdd_ros.policies.moe import GaussianMoE
from vdd_ros.policies.objectives.base import STUDENT, Batch, Objective
from vdd_ros.policies.objectives.vdd import gating_loss
from vdd_ros.policies.players import Nets, Player, parameters_beside, parameters_of
from vdd_ros.policies.settings import given


@dataclass(frozen=True)
class VddPaper(Objective[GaussianMoE]):
    """observations: of a batch that experts use, as in Vdd; samples: V of the paper
    (vi_batch_size); levels: how noise levels are drawn, by sigma_low and sigma_high [normalised
    action units] or by t_low to t_high of timesteps, counted from 0; expert_updates: to one of the
    gating.
    """

    summary: ClassVar[str] = "a mixture by the teacher's score at low noise, as published"
    paper: ClassVar[str] = "Zhou et al., NeurIPS 2024, arXiv:2406.12538"

    needs_demos: ClassVar[bool] = True
    needs_samples: ClassVar[bool] = False

    observations: int = 64
    samples: int = 2
    levels: Literal["sigma", "timestep"] = "sigma"
    sigma_low: float = 0.2
    sigma_high: float = 0.5
    timesteps: int = 8
    t_low: int = 1
    t_high: int = 4
    expert_updates: int = 2

    def __post_init__(self):
        if self.levels not in ("sigma", "timestep"):
            raise ValueError(f"levels are drawn by sigma or timestep: {given(self)}")
        if not 0.0 < self.sigma_low <= self.sigma_high:
            raise ValueError(f"need 0 < sigma_low <= sigma_high: {given(self)}")
        if not 0 <= self.t_low <= self.t_high < self.timesteps:
            raise ValueError(f"need 0 <= t_low <= t_high < timesteps: {given(self)}")
        if min(self.observations, self.samples, self.expert_updates) < 1:
            raise ValueError(
                f"observations, samples and expert_updates must be positive: {given(self)}"
            )

    def players(self, nets: Nets, teacher: ScoreModel) -> list[Player]:
        """Experts with all that leads to them, then the gating's own layer."""
        student = nets[STUDENT]

        def experts(batch: Batch, progress: float, generator: torch.Generator) -> Tensor:
            return self.expert_loss(student, teacher, batch, generator)

        def gating(batch: Batch, progress: float, generator: torch.Generator) -> Tensor:
            return gating_loss(student(batch.cond), batch.demos)

        climbing = parameters_beside(student, student.gating)
        return [
            Player("experts", climbing, experts, updates=self.expert_updates),
            Player("gating", parameters_of(student.gating), gating),
        ]

    def expert_loss(
        self,
        student: GaussianMoE,
        teacher: ScoreModel,
        batch: Batch,
        generator: torch.Generator,
    ) -> Tensor:
        """Minus what experts climb, per dimension."""
        cond = batch.cond[: self.observations]
        mixture = student(cond)
        held = mixture.detach()
        chunks = mixture.sample_components(self.samples, generator)  # (B, K, V, D)
        count, experts, samples, dim = chunks.shape
        flat = chunks.reshape(count, experts * samples, dim)
        alpha, sigma = self._levels((count, experts, samples), generator)
        pull = clean_score(
            teacher,
            flat.detach().reshape(-1, dim),
            alpha.flatten(),
            sigma.flatten(),
            cond.repeat_interleave(experts * samples, dim=0),
        ).view_as(chunks)
        own = held.log_responsibilities(flat).view(count, experts, samples, experts)
        log_r = own.diagonal(dim1=1, dim2=3).permute(0, 2, 1)  # (B, K, V): log r_z at z's samples
        gain = ((pull * chunks).sum(-1) + log_r).mean(2) + mixture.entropy_of_components()
        return -(held.log_weights.exp() * gain).sum(1).mean() / dim

    def _levels(
        self, shape: tuple[int, int, int], generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """(B, K, V) each: alpha and sigma of the noise level at every sample."""
        if self.levels == "sigma":
            sigma = torch.rand(shape, generator=generator)
            sigma = self.sigma_low + (self.sigma_high - self.sigma_low) * sigma
            return torch.ones(shape), sigma
        step = torch.randint(self.t_low, self.t_high + 1, shape, generator=generator)
        sigma = level_sigmas(self.timesteps).float()[step]
        alpha = (1.0 + sigma**2).rsqrt()
        return alpha, alpha * sigma


@torch.no_grad()
def clean_score(
    teacher: ScoreModel, chunks: Tensor, alpha: Tensor, sigma: Tensor, cond: Tensor
) -> Tensor:
    """(B, D): the score of alpha a + sigma xi at chunks (B, D) as they are; alpha, sigma: (B,)."""
    alpha, sigma = alpha[:, None], sigma[:, None]
    clean = teacher.denoise(chunks / alpha, (sigma / alpha)[:, 0], cond)
    return (alpha * clean - chunks) / sigma**2
