"""guidance: a student that guides itself, by half the calls (Meng et al. 2023).

    stage 1    | D_student(x; sigma, o, w) - D_w(x; sigma, o) |^2,    w ~ U[0, guidance_max]
    stage 2    progressive distillation of that student, w still an input

D_w: see guidance.py of the policies. Its student is sampled as the teacher was, but by one call
where guidance takes two; in the second stage its steps are halved, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor, nn

from vdd_ros.policies.denoiser import Denoiser, ScoreModel
from vdd_ros.policies.guidance import GuidedTeacher, guided, with_scale
from vdd_ros.policies.noise import log_uniform, noised
from vdd_ros.policies.objectives.base import STUDENT, Batch
from vdd_ros.policies.objectives.copies import PhaseTeacher
from vdd_ros.policies.objectives.few_step import FewStep
from vdd_ros.policies.objectives.progressive import SELF, Progressive
from vdd_ros.policies.objectives.steps import snr_weight
from vdd_ros.policies.objectives.told import told
from vdd_ros.policies.players import Nets, Player, parameters_of
from vdd_ros.policies.samplers import Draw
from vdd_ros.policies.settings import given
from vdd_ros.policies.teacher import SamplerConfig


@dataclass(frozen=True)
class Guidance(FewStep):
    """guidance_max: the largest w that is learned; guidance: w of the chunks that are made; steps:
    of Heun's in which the student of stage 1 is sampled; ends: steps of DDIM of the student of
    stage 2, a power of two, 0: there is no stage 2; halved: steps that stage 2 begins with; start:
    share of the training spent on stage 1, if there are two.

    It takes a teacher that also knows chunks without an observation.
    """

    summary: ClassVar[str] = "guidance by one call, its scale an input; then fewer steps"
    paper: ClassVar[str] = "Meng et al., CVPR 2023, arXiv:2210.03142"
    needs_demos: ClassVar[bool] = True
    needs_samples: ClassVar[bool] = False

    guidance_max: float = 4.0
    guidance: float = 0.0
    steps: int = 18
    ends: int = 0
    halved: int = 32
    start: float = 0.5

    def __post_init__(self):
        if not 0.0 <= self.guidance <= self.guidance_max or self.guidance_max == 0.0:
            raise ValueError(
                f"guidance lies between 0 and guidance_max, which is more: {given(self)}"
            )
        if self.steps < 1 or not 0.0 < self.start < 1.0:
            raise ValueError(
                f"steps are 1 or more, start is a share of the training: {given(self)}"
            )
        if self.ends:
            self.second  # noqa: B018  refuses steps that cannot be halved

    @property
    def second(self) -> Progressive:
        """Stage 2."""
        return Progressive(self.sigma_min, self.sigma_max, self.halved, self.ends)

    @property
    def recipe(self) -> SamplerConfig:
        if self.ends:
            return self.second.recipe
        return SamplerConfig("heun", self.steps, sigma_last=self.sigma_min)

    @cached_property
    def sigmas(self) -> Tensor:
        return self.second.sigmas if self.ends else super().sigmas

    @property
    def says_clean(self) -> bool:
        return bool(self.ends)  # Heun's rule asks twice in a step

    def student(self, begin: Denoiser) -> Denoiser:
        return told(super().student(begin))

    def sample(
        self, student: Denoiser, starts: Tensor, cond: Tensor, draw: Draw | None = None
    ) -> Tensor:
        return super().sample(student, starts, with_scale(cond, self.guidance), draw)

    def auxiliaries(self, student: Denoiser, teacher: ScoreModel) -> dict[str, nn.Module]:
        return {SELF: PhaseTeacher(student)} if self.ends else {}

    def players(self, nets: Nets, teacher: ScoreModel) -> list[Player]:
        student, guide = nets[STUDENT], guided(teacher)

        def loss(batch: Batch, progress: float, generator: torch.Generator) -> Tensor:
            scale = self.guidance_max * torch.rand((len(batch.cond),), generator=generator)
            batch = batch._replace(cond=with_scale(batch.cond, scale))
            if not self.ends or progress < self.start:
                return self.guided_loss(student, guide, batch, generator)
            second, own = self.second, nets[SELF]
            assert isinstance(own, PhaseTeacher)
            phase = int((progress - self.start) / (1.0 - self.start) * second.phases)
            own.begin(phase + 1, nets.average(STUDENT))
            return second.phase_loss(student, own.denoiser, phase, batch, generator)

        return [Player(STUDENT, parameters_of(student), loss)]

    def guided_loss(
        self, student: nn.Module, guide: GuidedTeacher, batch: Batch, generator: torch.Generator
    ) -> Tensor:
        """Of observations with w."""
        sigma = log_uniform(self.sigma_min, self.sigma_max, len(batch.cond), generator)
        x = noised(batch.demos, sigma, generator)
        with torch.no_grad():
            target = guide.denoise(x, sigma, batch.cond)
        error = (student(x, sigma, batch.cond) - target).square().mean(1)
        return (snr_weight(sigma) * error).mean()
