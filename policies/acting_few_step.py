"""A few-step student as one graph: its sampler unrolled, its noise an input, a teacher beside it.

policy.onnx    window (To, Do), noise (K, W) -> log_gating (K,), means (K, H, Da)

W: R numbers for the start, then what the sampler and a latent draw, in the order in which they do,
then R for each step that the teacher refines. Without a refinement there is no teacher in a graph.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from vdd_ros.normalizer import Normalizer
from vdd_ros.policies.denoiser import Denoiser
from vdd_ros.policies.export import Units, to_onnx
from vdd_ros.policies.objectives.few_step import FewStep
from vdd_ros.policies.samplers import SAMPLERS
from vdd_ros.policies.samplers.guided import Guided, Refinement

NOT_REFINED = Refinement(weight=0.0)


class ActingFewStep(nn.Module):
    """A mixture of samples, all equally likely; teacher: which refines them on the way."""

    def __init__(
        self,
        student: Denoiser,
        normalizer: Normalizer,
        objective: FewStep[Any],
        teacher: Denoiser | None = None,
        refinement: Refinement = NOT_REFINED,
    ):
        """Raises ValueError for a student that no sampler samples, and without a teacher to ask."""
        super().__init__()
        if type(objective).sample is not FewStep.sample:
            raise ValueError(f"{type(objective).__name__} is sampled in a way that is no sampler's")
        self.objective, self.sigmas = objective, objective.sigmas
        self.sampler, self.sigma_first = SAMPLERS[objective.recipe.name], float(self.sigmas[0])
        self.student, self.units = student, Units(normalizer)
        self.refinement, self.levels = refinement, refinement.levels(self.sigmas)
        if self.levels and teacher is None:
            raise ValueError("a refinement needs a teacher to ask")
        self.teacher = teacher if self.levels else None
        _, cond_dim, self.dim = normalizer.sizes
        self.drawn = self._count(torch.zeros(1, self.dim), torch.zeros(1, cond_dim))

    @property
    def noise_size(self) -> int:
        """W."""
        return self.dim + self.drawn + self.dim * len(self.levels)

    def forward(self, window: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        count, dim = len(noise), self.dim
        cond = self.units.features(window)
        start, drawn, own = noise.tensor_split([dim, dim + self.drawn], dim=1)
        chunks = self._sample(
            self.sigma_first * start, cond.expand(count, -1), Columns(drawn), Columns(own)
        )
        return torch.full((count,), -math.log(count)), self.units.chunk(chunks, cond)

    def _sample(self, x: Tensor, cond: Tensor, draw: Columns, own: Columns) -> Tensor:
        student: Any = self.student
        if self.teacher is not None:
            asked = self.teacher.denoise
            student = Guided(student, asked, self.refinement, self.sigmas, cond, own)
        return self.sampler(self.objective.denoiser(student, draw), x, self.sigmas, cond, draw)

    @torch.no_grad()
    def _count(self, x: Tensor, cond: Tensor) -> int:
        """Numbers that a chunk's sampling draws beside its start."""
        draw = Columns(None)
        self._sample(x, cond, draw, Columns(None))
        return draw.used


class Columns:
    """Draws that are columns (K, W) of what is given, from the left; of nothing, zeros."""

    def __init__(self, noise: Tensor | None):
        self._noise, self.used = noise, 0

    def __call__(self, like: Tensor) -> Tensor:
        first, self.used = self.used, self.used + like.shape[1]
        if self._noise is None:
            return torch.zeros_like(like)
        return self._noise[:, first : self.used]


def few_step_graph(
    acting: ActingFewStep, window_shape: tuple[int, int], candidates: int = 1
) -> bytes:
    """policy.onnx, for so many samples at a time."""
    example = (torch.zeros(window_shape), torch.zeros(candidates, acting.noise_size))
    return to_onnx(acting, example, ["window", "noise"], ["log_gating", "means"])
