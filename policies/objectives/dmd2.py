"""dmd2: distribution matching without pairs (Yin et al. 2024b).

The fake score learns several times for each time the student does, which then needs no pairs to be
stable, and its hidden layer tells demonstrations from what the student makes (a GAN):

    fake score    denoising + head_weight [softplus(h(x_sigma)) + softplus(-h(a_sigma))]
    student       g of dmd  + gan_weight softplus(-h(x_sigma))

with x of the student, a demonstrated, h a small head on the hidden layer, at noise levels between
the width of a mode and the distance of modes, where the two can be told apart and still overlap.
The published student of four calls is left out: this one makes a chunk in one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from vdd_ros.policies.denoiser import Denoiser, ScoreModel
from vdd_ros.policies.noise import log_uniform, noised
from vdd_ros.policies.objectives.base import Batch
from vdd_ros.policies.objectives.dmd import DistributionMatching
from vdd_ros.policies.objectives.fake_score import FAKE
from vdd_ros.policies.players import Nets, parameters_of
from vdd_ros.policies.settings import given

HEAD = "head"


@dataclass(frozen=True)
class Dmd2(DistributionMatching):
    """fake_updates: 5 as published, where both learn at one rate; gan_weight: of the head in the
    student's loss, 0 for none; head_weight: in the fake score's;
    head_low, head_high: noise levels at which it judges, log-uniform."""

    summary: ClassVar[str] = "distribution matching without pairs, and a head that knows demos"
    paper: ClassVar[str] = "Yin et al., NeurIPS 2024, arXiv:2405.14867"
    needs_demos: ClassVar[bool] = True

    fake_updates: int = 2
    gan_weight: float = 3e-3
    head_weight: float = 1e-2
    head_low: float = 0.03
    head_high: float = 1.0

    def __post_init__(self):
        super().__post_init__()
        if self.gan_weight < 0.0 or self.head_weight <= 0.0:
            raise ValueError(f"head_weight is positive, gan_weight not negative: {given(self)}")
        if not 0.0 < self.head_low < self.head_high:
            raise ValueError(f"need 0 < head_low < head_high: {given(self)}")

    def auxiliaries(self, student: Denoiser, teacher: ScoreModel) -> dict[str, nn.Module]:
        others = super().auxiliaries(student, teacher)
        return others | ({HEAD: Head(student.net.hidden_dim)} if self.gan_weight else {})

    def fake_parameters(self, nets: Nets) -> tuple[nn.Parameter, ...]:
        return parameters_of(nets[FAKE], *([nets[HEAD]] if self.gan_weight else []))

    def loss_at(
        self, x: Tensor, nets: Nets, teacher: ScoreModel, batch: Batch, generator: torch.Generator
    ) -> Tensor:
        loss = super().loss_at(x, nets, teacher, batch, generator)
        if self.gan_weight:
            made = self.judge(nets, x, batch, generator)
            loss = loss + self.gan_weight * softplus(-made).mean()
        return loss

    def fake_loss_at(
        self, x: Tensor, nets: Nets, batch: Batch, generator: torch.Generator
    ) -> Tensor:
        loss = super().fake_loss_at(x, nets, batch, generator)
        if self.gan_weight:
            made = self.judge(nets, x, batch, generator)
            shown = self.judge(nets, batch.demos, batch, generator)
            loss = loss + self.head_weight * (softplus(made) + softplus(-shown)).mean()
        return loss

    def judge(self, nets: Nets, x: Tensor, batch: Batch, generator: torch.Generator) -> Tensor:
        """(B,): how much chunks look demonstrated, each noised at a level of its own."""
        sigma = log_uniform(self.head_low, self.head_high, len(x), generator).to(x)
        fake = nets[FAKE]
        assert isinstance(fake, Denoiser)
        return nets[HEAD](fake.hidden(noised(x, sigma, generator), sigma, batch.cond))


class Head(nn.Module):
    """(B, W) hidden layer -> (B,), more than 0 for what looks demonstrated."""

    def __init__(self, width: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 1)
        )

    def forward(self, hidden: Tensor) -> Tensor:
        return self.layers(hidden)[:, 0]
