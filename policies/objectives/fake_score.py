"""The score of what a student makes, learned beside it by a network that begins as the teacher's.

A fake score that lags behind is that of a student some steps ago. It takes what the student has
since moved for width, so modes come out narrower than the teacher's. One that never moves sees the
same difference wherever the student goes, and everything runs to one mode.
"""

from __future__ import annotations

import copy
from abc import ABC
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vdd_ros.policies.denoiser import Denoiser, ScoreModel
from vdd_ros.policies.diffusion_loss import denoising_loss
from vdd_ros.policies.objectives.base import STUDENT, Batch
from vdd_ros.policies.objectives.score_difference import ScoreDifference
from vdd_ros.policies.players import Nets, Player, parameters_of
from vdd_ros.policies.settings import given

FAKE = "fake score"


@dataclass(frozen=True)
class FakeScore(ScoreDifference, ABC):
    """fake_updates: of the fake score to one of the student, whose `rate` is below the fake score's
    for the same reason: one has to keep up with the other."""

    rate: float = 0.3
    fake_updates: int = 1

    def __post_init__(self):
        super().__post_init__()
        if self.fake_updates < 1:
            raise ValueError(f"fake_updates must be positive: {given(self)}")

    def auxiliaries(self, student: Denoiser, teacher: ScoreModel) -> dict[str, nn.Module]:
        return {FAKE: copy.deepcopy(student)}

    def players(self, nets: Nets, teacher: ScoreModel) -> list[Player]:
        def loss(batch: Batch, progress: float, generator: torch.Generator) -> Tensor:
            return self.fake_loss(nets, batch, generator)

        fake = Player(
            FAKE,
            self.fake_parameters(nets),
            loss,
            updates=self.fake_updates,
            betas=(self.momentum, 0.999),
        )
        return [*super().players(nets, teacher), fake]

    def fake_parameters(self, nets: Nets) -> tuple[nn.Parameter, ...]:
        """What learns while the student waits."""
        return parameters_of(nets[FAKE])

    def fake_loss(self, nets: Nets, batch: Batch, generator: torch.Generator) -> Tensor:
        """Of what the student makes now."""
        with torch.no_grad():
            x = self.generated(nets[STUDENT], batch, generator)
        return self.fake_loss_at(x, nets, batch, generator)

    def fake_loss_at(
        self, x: Tensor, nets: Nets, batch: Batch, generator: torch.Generator
    ) -> Tensor:
        """Of denoising x (B, D)."""
        fake = nets[FAKE]
        assert isinstance(fake, Denoiser)
        return denoising_loss(fake, x, batch.cond, self.noise, generator)

    def own(self, nets: Nets, x: Tensor, noised: Tensor, sigma: Tensor, cond: Tensor) -> Tensor:
        return nets[FAKE](noised, sigma, cond)
