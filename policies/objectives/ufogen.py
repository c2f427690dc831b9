"""ufogen: a student of one call, judged after noise is added (Xu et al. 2023).

    x = D_student(a + sigma_max xi; o)    judged: x + s xi'  beside  a + s xi'',  s log-uniform

Noise makes what is made and what is demonstrated overlap, so that a judgement has a slope wherever
the student is. How much decides: at levels far above the distance of modes they look alike whatever
the student does. The published student is trained at several levels and judged at the next lower
one, which for one call means far too high, and is held to the demonstration that its noise hides;
from sigma_max that is the mean of everything (`reconstruction` > 0).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from vdd_ros.policies.denoiser import Denoiser, ScoreModel
from vdd_ros.policies.noise import log_uniform, noised
from vdd_ros.policies.objectives.adversarial import (
    Adversarial,
    Judged,
    to_unit_variance,
)
from vdd_ros.policies.objectives.base import Batch
from vdd_ros.policies.settings import given


@dataclass(frozen=True)
class Ufogen(Adversarial):
    """judge_low, judge_high: levels s, from half the width of a mode to the distance of modes;
    reconstruction: weight of |x - a|^2 / (1 + sigma_max^2)."""

    summary: ClassVar[str] = "one call, told from demonstrations by a judge of noised chunks"
    paper: ClassVar[str] = "Xu et al., CVPR 2024, arXiv:2311.09257"

    rate: float = 1.0
    judge_low: float = 0.03
    judge_high: float = 1.0
    reconstruction: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        if not 0.0 < self.judge_low <= self.judge_high or self.reconstruction < 0.0:
            raise ValueError(
                f"0 < judge_low <= judge_high, and reconstruction is not negative: {given(self)}"
            )

    def examples(self, student: Denoiser, batch: Batch, generator: torch.Generator) -> Judged:
        count = len(batch.demos)
        high = batch.demos.new_full((1,), self.sigma_max)
        clean = student(noised(batch.demos, high, generator), high, batch.cond)
        sigma = log_uniform(self.judge_low, self.judge_high, count, generator).to(clean)
        made, shown = (
            to_unit_variance(noised(chunks, sigma, generator), sigma, student.sigma_data)
            for chunks in (clean, batch.demos)
        )
        return Judged(clean, high, made, shown, sigma)

    def anchor(
        self, judged: Judged, teacher: ScoreModel, batch: Batch, generator: torch.Generator
    ) -> Tensor | None:
        if not self.reconstruction:
            return None
        error = (judged.clean - batch.demos).square().mean(1)
        return self.reconstruction * (error / (1.0 + judged.high**2)).mean()
