"""imc: information maximising curriculum (Blessing et al. 2023, NeurIPS, arXiv 2303.15349).

A mixture from the demonstrations, without a teacher, whose experts choose what they learn. Expert z
has a curriculum, a distribution p(n|z) over demonstrations n = (o, a), and maximises

    E_p(n|z) [ log N_z(a_n | o_n) + eta log q(z|n) ] + eta H(p(n|z))

which is greatest, for the expert as it is, at

    p(n|z) = softmax over n of  log N_z(a_n | o_n) / eta + log q(z|n)

and q(z|n) is what the curricula themselves say of who learns n. A large eta makes an expert learn
from all that q leaves to it, a small one from what it does well already: unlike `em`, experts may
leave out what none of them can represent.

What is done here, with softmaxes over the batch and p and q held constant:

    q(z|n)     softmax over z of  log N_z(a_n | o_n) / eta + log g_z(o_n)
    experts    -mean_z sum_n p(n|z) log N_z(a_n | o_n)
    gating     -mean_z sum_n p(n|z) log g_z(o_n)               its own layer alone, on a fresh batch

Two that learn in turn, and the gating's target, are those of the code that a submission of VDD
(Zhou et al. 2024) was released with, where imc is a baseline. As every expert's weights have sum
one, experts end equally likely over the observations as a whole. This differs from that code in
four things. There q(z|n) is the gating, which cannot part experts that answer the same
observation. There experts are weighed by exp(...) + 1e-8 without dividing by the sum over n, which
over- or underflows for chunks. There eta is 1 nat, for actions of 2 to 9 numbers; here it is per
number of a chunk, so that the softmax is as sharp for long chunks as for short ones. There
covariances are never trained; here they are. An expert alone on N(m, S^2) then ends with the
variance S^2 (1 - 1 / eta), eta in nats for the whole chunk: at one nat and less it shrinks to
nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from vdd_ros.policies.denoiser import ScoreModel
from vdd_ros.policies.mixture import GaussianMixture
from vdd_ros.policies.moe import GaussianMoE
from vdd_ros.policies.objectives.base import STUDENT, Batch, Objective
from vdd_ros.policies.players import Nets, Player, parameters_beside, parameters_of
from vdd_ros.policies.settings import given


@dataclass(frozen=True)
class Imc(Objective[GaussianMoE]):
    """eta: weight of a curriculum's entropy, in nats per number of a chunk."""

    summary: ClassVar[str] = "a mixture whose experts choose their demonstrations; no teacher"
    paper: ClassVar[str] = "Blessing et al., NeurIPS 2023, arXiv:2303.15349"

    needs_demos: ClassVar[bool] = True
    needs_samples: ClassVar[bool] = False

    eta: float = 1.0

    def __post_init__(self):
        if not self.eta > 0.0:
            raise ValueError(f"eta must be positive: {given(self)}")

    def players(self, nets: Nets, teacher: ScoreModel) -> list[Player]:
        """Experts with all that leads to them, then the gating's own layer."""
        student = nets[STUDENT]

        def experts(batch: Batch, progress: float, generator: torch.Generator) -> Tensor:
            return self.expert_loss(student(batch.cond), batch.demos)

        def gating(batch: Batch, progress: float, generator: torch.Generator) -> Tensor:
            mixture = student(batch.cond)
            weight = self.curricula(mixture, batch.demos)
            return -(weight * mixture.log_weights).sum(0).mean()

        return [
            Player("experts", parameters_beside(student, student.gating), experts),
            Player("gating", parameters_of(student.gating), gating),
        ]

    def expert_loss(self, mixture: GaussianMixture, demos: Tensor) -> Tensor:
        """Minus what experts maximise, per dimension, without the entropy; demos: (B, D)."""
        log_prob = mixture.component_log_prob(demos[:, None])[:, 0]
        gain = (self.curricula(mixture, demos) * log_prob).sum(0)
        return -gain.mean() / demos.shape[1]

    @property
    def is_mean(self) -> bool:
        return False  # a curriculum is a distribution over the batch

    @torch.no_grad()
    def curricula(self, mixture: GaussianMixture, demos: Tensor) -> Tensor:
        """(B, K): p(n|z), of sum 1 over the demonstrations (B, D) for every expert."""
        log_prob = mixture.component_log_prob(demos[:, None])[:, 0]
        reward = log_prob / (self.eta * demos.shape[1])
        log_q = torch.log_softmax(reward + mixture.log_weights, dim=1)
        return torch.softmax(reward + log_q, dim=0)
