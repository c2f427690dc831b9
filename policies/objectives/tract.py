"""tract: steps over whole groups of levels at once (Berthelot et al. 2023).

Levels are grouped. From a level t the teacher takes one step to the next, t', and from there a
self-target jumps to the end of the group, b, with one step of DDIM:

    x_t -> teacher -> x_t' -> self-target -> x_b,    target = (x_b - (b / t) x_t) / (1 - b / t)

which makes the student jump from anywhere in a group to its end. Few phases do, each with fewer and
larger groups: where progressive distillation halves steps six times, two phases are enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn

from vdd_ros.policies.denoiser import Denoiser, ScoreModel
from vdd_ros.policies.noise import noised
from vdd_ros.policies.objectives.base import STUDENT, Batch
from vdd_ros.policies.objectives.copies import Follower, PhaseTeacher
from vdd_ros.policies.objectives.few_step import FewStep
from vdd_ros.policies.objectives.steps import clean_target, ddim_step, snr_weight
from vdd_ros.policies.players import Nets, Player, parameters_of
from vdd_ros.policies.settings import given
from vdd_ros.policies.spacing import sigma_grid
from vdd_ros.policies.teacher import SamplerConfig

TEACHER, SELF = "teacher of this phase", "self-target"


@dataclass(frozen=True)
class Tract(FewStep):
    """steps, middle, ends: of the first teacher, of the student of the first phase and of that of
    the second, each a multiple of the next; with middle as ends there is one phase; decay: of the
    self-target."""

    summary: ClassVar[str] = "jumps to the end of a group of levels, in few phases"
    paper: ClassVar[str] = "Berthelot et al. 2023, arXiv:2303.04248"
    is_map: ClassVar[bool] = True
    needs_demos: ClassVar[bool] = True
    needs_samples: ClassVar[bool] = False

    steps: int = 64
    middle: int = 8
    ends: int = 1
    decay: float = 0.5

    def __post_init__(self):
        if self.ends < 1 or any(few >= many or many % few for many, few in pairwise(self.counts)):
            raise ValueError(
                f"steps, middle and ends are multiples, each of the next: {given(self)}"
            )
        if not 0.0 <= self.decay < 1.0:
            raise ValueError(f"decay is a number from 0 to less than 1: {given(self)}")

    @property
    def counts(self) -> tuple[int, ...]:
        """Steps of the teacher of each phase, and of the last student."""
        return tuple(dict.fromkeys((self.steps, self.middle, self.ends)))

    @property
    def phases(self) -> int:
        return len(self.counts) - 1

    @property
    def recipe(self) -> SamplerConfig:
        return SamplerConfig("euler", self.ends)

    @cached_property
    def sigmas(self) -> Tensor:
        return self.grid(self.phases)

    def grid(self, phase: int) -> Tensor:
        """(n + 1,) float32, falling to 0: levels of the teacher of a phase, counted from 0."""
        return sigma_grid(self.noise, self.steps).float()[:: self.steps // self.counts[phase]]

    def auxiliaries(self, student: Denoiser, teacher: ScoreModel) -> dict[str, nn.Module]:
        return {TEACHER: PhaseTeacher(student), SELF: Follower(student, self.decay)}

    def players(self, nets: Nets, teacher: ScoreModel) -> list[Player]:
        student, own, self_target = nets[STUDENT], nets[TEACHER], nets[SELF]
        assert isinstance(own, PhaseTeacher) and isinstance(self_target, Follower)

        def loss(batch: Batch, progress: float, generator: torch.Generator) -> Tensor:
            phase = int(progress * self.phases)
            own.begin(phase, nets.average(STUDENT))
            self_target.follow(student)
            model = teacher if phase == 0 else own.denoiser
            return self.phase_loss(student, self_target.denoiser, model, phase, batch, generator)

        return [Player(STUDENT, parameters_of(student), loss)]

    def phase_loss(
        self,
        student: nn.Module,
        self_target: ScoreModel,
        teacher: ScoreModel,
        phase: int,
        batch: Batch,
        generator: torch.Generator,
    ) -> Tensor:
        """At one level for each row; nothing flows through the target."""
        grid, group = self.grid(phase), self.counts[phase] // self.counts[phase + 1]
        level = torch.randint(len(grid) - 1, (len(batch.demos),), generator=generator)
        end = grid[(level // group + 1) * group]
        high, low = grid[level], grid[level + 1]
        x = noised(batch.demos, high, generator)
        with torch.no_grad():
            there = ddim_step(teacher, x, high, low, batch.cond)
            level_there = low.clamp_min(self.sigma_min)  # at 0 there is nothing to ask
            jumped = ddim_step(self_target, there, level_there, end, batch.cond)
            there = torch.where((low > end)[:, None], jumped, there)
            target = clean_target(x, high, there, end)
        error = (student(x, high, batch.cond) - target).square().mean(1)
        return (snr_weight(high) * error).mean()
