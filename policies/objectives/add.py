"""add: a judge of clean chunks, and the teacher's opinion of them (Sauer et al. 2023).

    x = D_student(a + t xi; t, o),  t one of a few levels
    hinge on d(x)  +  distillation E c(sigma) |x - D_teacher(sg(x) + sigma xi'; sigma, o)|^2

with c = 1 / sqrt(1 + sigma^2). The teacher's side is held: gradients reach x alone. It is the step
of score distillation, which pulls to modes. Without the judge every noise goes to one point
(`adversarial` 0). The judge is told t, which the published one is not: blind to t it looks at what
is easy to make, and of what is made of mere noise more modes are lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from vdd_ros.policies import spacing
from vdd_ros.policies.denoiser import Denoiser, ScoreModel
from vdd_ros.policies.noise import log_uniform, noised
from vdd_ros.policies.objectives.adversarial import Adversarial, Judged, drawn
from vdd_ros.policies.objectives.base import Batch
from vdd_ros.policies.settings import given


@dataclass(frozen=True)
class Add(Adversarial):
    """distillation: weight of the teacher's opinion; student_levels: how many t, from sigma_max
    down to lowest_level."""

    summary: ClassVar[str] = "one call, told from demonstrations and corrected by the teacher"
    paper: ClassVar[str] = "Sauer et al., ECCV 2024, arXiv:2311.17042"

    game: Literal["softplus", "hinge", "square"] = "hinge"
    penalty: float = 0.1
    distillation: float = 2.5
    student_levels: int = 4
    lowest_level: float = 0.25

    def __post_init__(self):
        super().__post_init__()
        if self.distillation < 0.0 or self.student_levels < 1:
            raise ValueError(
                f"distillation is not negative, student_levels 1 or more: {given(self)}"
            )

    def examples(self, student: Denoiser, batch: Batch, generator: torch.Generator) -> Judged:
        levels = spacing.log_uniform(self.student_levels, self.sigma_max, self.lowest_level)
        high = levels.to(batch.demos)[drawn(levels, len(batch.demos), generator)]
        clean = student(noised(batch.demos, high, generator), high, batch.cond)
        return self.of_clean(student, clean, high, batch)

    def anchor(
        self, judged: Judged, teacher: ScoreModel, batch: Batch, generator: torch.Generator
    ) -> Tensor | None:
        clean = judged.clean
        with torch.no_grad():
            sigma = log_uniform(self.sigma_min, self.sigma_max, len(clean), generator).to(clean)
            opinion = teacher.denoise(noised(clean, sigma, generator), sigma, batch.cond)
        trust = (1.0 + sigma**2).rsqrt()
        return self.distillation * (trust * (clean - opinion).square().mean(1)).mean()
