"""asm: a denoiser that is judged for what it says (Jolicoeur-Martineau et al. 2021).

    weight(sigma) |D(a + sigma xi; sigma, o) - a|^2  +  adversarial [square game on D(...)]

The first alone is denoising score matching, whose best answer at high noise is a mean that nobody
demonstrated; the judge asks for chunks. The ancestor of the adversarial distillations: it needs no
teacher, and its student is sampled in several steps as a teacher is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from vdd_ros.policies.denoiser import Denoiser, ScoreModel
from vdd_ros.policies.noise import log_uniform, noised
from vdd_ros.policies.objectives.adversarial import Adversarial, Judged
from vdd_ros.policies.objectives.base import Batch
from vdd_ros.policies.teacher import SamplerConfig


@dataclass(frozen=True)
class Asm(Adversarial):
    """denoising: weight of score matching; steps, last: of its sampler, DDIM."""

    summary: ClassVar[str] = "score matching, and a judge of what the denoiser says"
    paper: ClassVar[str] = "Jolicoeur-Martineau et al., ICLR 2021, arXiv:2009.05475"

    game: Literal["softplus", "hinge", "square"] = "square"
    denoising: float = 1.0
    steps: int = 4
    last: float = 0.12

    @property
    def recipe(self) -> SamplerConfig:
        return SamplerConfig("euler", self.steps, self.last)

    def examples(self, student: Denoiser, batch: Batch, generator: torch.Generator) -> Judged:
        count = len(batch.demos)
        high = log_uniform(self.sigma_min, self.sigma_max, count, generator).to(batch.demos)
        clean = student(noised(batch.demos, high, generator), high, batch.cond)
        return self.of_clean(student, clean, high, batch)

    def anchor(
        self, judged: Judged, teacher: ScoreModel, batch: Batch, generator: torch.Generator
    ) -> Tensor | None:
        error = (judged.clean - batch.demos).square().mean(1)
        return self.denoising * (error * (1.0 + judged.high**-2)).mean()
