"""lcm: consistency distillation over several levels at a time, with guidance inside the target (Luo
et al. 2023).

Neighbouring levels of a fine grid are so near that what is known at the lowest takes long to get to
the highest. A pair `skip` levels apart is the repair: the teacher steps as far as that at once. The
teacher that steps is the guided one; how much, w, is drawn for each row and told to the student,
which then needs no second call for guidance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from vdd_ros.policies.denoiser import Denoiser, ScoreModel
from vdd_ros.policies.guidance import guided, with_scale
from vdd_ros.policies.objectives.base import Batch
from vdd_ros.policies.objectives.consistency import Cd
from vdd_ros.policies.objectives.steps import ddim_step, heun_step
from vdd_ros.policies.objectives.told import told
from vdd_ros.policies.samplers import Draw
from vdd_ros.policies.settings import given


@dataclass(frozen=True)
class Lcm(Cd):
    """skip: levels between the two of a pair; solver: the teacher's step over them, ddim in the
    paper; guidance_max: w is drawn from 0 to it, 0 for a teacher that cannot be guided, and the
    student is then told none; guidance: w of the chunks that are made."""

    summary: ClassVar[str] = "cd over several levels at a time, with guidance inside the target"
    paper: ClassVar[str] = "Luo et al. 2023, arXiv:2310.04378"

    levels: int = 80
    skip: int = 4
    solver: Literal["heun", "ddim"] = "heun"
    guidance_max: float = 0.0
    guidance: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        if not 1 <= self.skip < self.levels or self.solver not in ("heun", "ddim"):
            raise ValueError(f"skip is less than levels, solver heun or ddim: {given(self)}")
        if not 0.0 <= self.guidance <= self.guidance_max:
            raise ValueError(f"guidance lies between 0 and guidance_max: {given(self)}")

    def student(self, begin: Denoiser) -> Denoiser:
        student = super().student(begin)
        return told(student) if self.guidance_max else student

    def pair_loss(
        self,
        student: torch.nn.Module,
        target: torch.nn.Module,
        teacher: ScoreModel,
        batch: Batch,
        generator: torch.Generator,
        progress: float = 0.0,
    ) -> Tensor:
        if self.guidance_max:
            teacher = guided(teacher)
            scale = self.guidance_max * torch.rand((len(batch.cond),), generator=generator)
            batch = batch._replace(cond=with_scale(batch.cond, scale))
        return super().pair_loss(student, target, teacher, batch, generator, progress)

    def draw_levels(
        self, count: int, progress: float, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        level = torch.randint(self.levels - 1, (count,), generator=generator)
        return self.grid[level], self.grid[(level + self.skip).clamp_max(self.levels - 1)]

    def step(
        self, teacher: ScoreModel, x: Tensor, high: Tensor, low: Tensor, batch: Batch, noise: Tensor
    ) -> Tensor:
        solve = heun_step if self.solver == "heun" else ddim_step
        return solve(teacher, x, high, low, batch.cond)

    def sample(
        self, student: Denoiser, starts: Tensor, cond: Tensor, draw: Draw | None = None
    ) -> Tensor:
        told_cond = with_scale(cond, self.guidance) if self.guidance_max else cond
        return super().sample(student, starts, told_cond, draw)
