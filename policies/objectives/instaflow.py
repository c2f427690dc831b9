"""instaflow: reflow first, then one step of what its flow does in many (Liu et al. 2024).

    | z + v(z; 0, o) - ODE_v(z) |^2

What is nearly straight already is easily made one step; distilled from the teacher's curved paths
instead, the same step is the harder task of `kd`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from vdd_ros.policies.denoiser import Denoiser, ScoreModel
from vdd_ros.policies.objectives.base import STUDENT, Paired
from vdd_ros.policies.objectives.copies import PhaseTeacher
from vdd_ros.policies.objectives.reflow import TAU, Reflow
from vdd_ros.policies.players import Nets, Player, parameters_of
from vdd_ros.policies.settings import given
from vdd_ros.policies.training import LastPhase

FLOW = "straight flow"


@dataclass(frozen=True)
class Instaflow(Reflow):
    """start: share of the training spent on reflow; last_rate: learning rate after it over that
    before; flow_steps: of the straight flow for a target. Its own steps are 1."""

    summary: ClassVar[str] = "reflow, then one step of what the straight flow does in many"
    paper: ClassVar[str] = "Liu et al., ICLR 2024, arXiv:2309.06380"

    start: float = 2.0 / 3.0
    last_rate: float = 0.5
    flow_steps: int = 16

    def __post_init__(self):
        if self.steps != 1 or self.flow_steps < 2:
            raise ValueError(f"instaflow takes one step, its flow several: {given(self)}")
        if not 0.0 < self.start < 1.0 or self.last_rate <= 0.0:
            raise ValueError(f"start is a share of the training, last_rate positive: {given(self)}")

    @property
    def last_phase(self) -> LastPhase:
        return LastPhase(self.start, self.last_rate)

    def auxiliaries(self, student: Denoiser, teacher: ScoreModel) -> dict[str, nn.Module]:
        return {FLOW: PhaseTeacher(student)}

    def players(self, nets: Nets, teacher: ScoreModel) -> list[Player]:
        student, flow = nets[STUDENT], nets[FLOW]
        assert isinstance(flow, PhaseTeacher)

        def loss(batch: Paired, progress: float, generator: torch.Generator) -> Tensor:
            if progress < self.start:
                return self.loss(student, teacher, batch, progress, generator)
            flow.begin(1, nets.average(STUDENT))
            return self.distil_loss(student, flow.denoiser, batch)

        return [Player(STUDENT, parameters_of(student), loss)]

    def distil_loss(self, student: nn.Module, flow: Denoiser, batch: Paired) -> Tensor:
        """One step against where a flow leads from the same noise."""
        with torch.no_grad():
            many = Reflow(self.sigma_min, self.sigma_max, steps=self.flow_steps)
            target = many.sample(flow, batch.starts, batch.cond)
        sigma = self.sigmas[:1].float()
        x = batch.starts / self.sigma_max / TAU
        return (student(x, sigma, batch.cond) - target).square().mean()
