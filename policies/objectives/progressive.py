"""progressive: half as many steps, again and again (Salimans and Ho 2022).

In each phase a student's step of DDIM from level t to level s does what two of its teacher's do, by
way of the level between. What it has to say for a clean chunk is what makes that so:

    target = (x_s - (s / t) x_t) / (1 - s / t)        loss: max(1 / t^2, 1) |D(x_t; t) - target|^2

The student of one phase, averaged, is the teacher of the next. Levels are nested: those of a phase
are every second one of the phase before. A grid made anew for each number of steps would not be.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor, nn

from vdd_ros.policies.denoiser import Denoiser, ScoreModel
from vdd_ros.policies.noise import noised
from vdd_ros.policies.objectives.base import STUDENT, Batch
from vdd_ros.policies.objectives.copies import PhaseTeacher
from vdd_ros.policies.objectives.few_step import FewStep
from vdd_ros.policies.objectives.steps import clean_target, ddim_step, snr_weight
from vdd_ros.policies.players import Nets, Player, parameters_of
from vdd_ros.policies.settings import given
from vdd_ros.policies.spacing import sigma_grid
from vdd_ros.policies.teacher import SamplerConfig

SELF = "teacher of this phase"


@dataclass(frozen=True)
class Progressive(FewStep):
    """steps: of the first teacher, a power of two; ends: steps of the last student, another."""

    summary: ClassVar[str] = "half as many steps of DDIM, again and again"
    paper: ClassVar[str] = "Salimans and Ho, ICLR 2022, arXiv:2202.00512"
    is_map: ClassVar[bool] = True
    needs_demos: ClassVar[bool] = True
    needs_samples: ClassVar[bool] = False

    steps: int = 64
    ends: int = 1

    def __post_init__(self):
        powers = [count > 0 and count & (count - 1) == 0 for count in (self.steps, self.ends)]
        if not all(powers) or self.ends >= self.steps:
            raise ValueError(
                f"steps and ends are powers of two, ends the smaller one: {given(self)}"
            )

    @property
    def phases(self) -> int:
        """How often steps are halved."""
        return (self.steps // self.ends).bit_length() - 1

    @property
    def recipe(self) -> SamplerConfig:
        return SamplerConfig("euler", self.ends)

    @cached_property
    def sigmas(self) -> Tensor:
        return self.grid(self.phases)

    def grid(self, phase: int) -> Tensor:
        """(n + 1,) float32, falling to 0: levels of the teacher of a phase, counted from 0."""
        return sigma_grid(self.noise, self.steps).float()[:: 2**phase]

    def auxiliaries(self, student: Denoiser, teacher: ScoreModel) -> dict[str, nn.Module]:
        return {SELF: PhaseTeacher(student)}

    def players(self, nets: Nets, teacher: ScoreModel) -> list[Player]:
        student, own = nets[STUDENT], nets[SELF]
        assert isinstance(own, PhaseTeacher)

        def loss(batch: Batch, progress: float, generator: torch.Generator) -> Tensor:
            phase = int(progress * self.phases)
            own.begin(phase, nets.average(STUDENT))
            model = teacher if phase == 0 else own.denoiser
            return self.phase_loss(student, model, phase, batch, generator)

        return [Player(STUDENT, parameters_of(student), loss)]

    def phase_loss(
        self,
        student: nn.Module,
        teacher: ScoreModel,
        phase: int,
        batch: Batch,
        generator: torch.Generator,
    ) -> Tensor:
        """Against two steps of the teacher of a phase, at one level for each row."""
        grid = self.grid(phase)
        first = 2 * torch.randint(len(grid) // 2, (len(batch.demos),), generator=generator)
        high, middle, low = grid[first], grid[first + 1], grid[first + 2]
        x = noised(batch.demos, high, generator)
        with torch.no_grad():
            there = ddim_step(teacher, x, high, middle, batch.cond)
            there = ddim_step(teacher, there, middle, low, batch.cond)
            target = clean_target(x, high, there, low)
        error = (student(x, high, batch.cond) - target).square().mean(1)
        return (snr_weight(high) * error).mean()
