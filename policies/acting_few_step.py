"""A student that makes a chunk of noise as one ONNX graph: every call of its recipe written out.

policy.onnx    window (To, Do), noise (K, W) -> log_gating (K,), means (K, H, Da)

W: the R numbers that a chunk starts from, then what its recipe draws on its way, in that order,
then R for each step that a teacher refines. All of it is an input: the same noise gives the same
chunk. Without a refinement there is no teacher in a graph.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from vdd_ros.normalizer import Normalizer
from vdd_ros.policies.denoiser import Denoiser
from vdd_ros.policies.export import Units, to_onnx
from vdd_ros.policies.objectives import FewStep
from vdd_ros.policies.samplers.guided import Refinement

NOT_REFINED = Refinement(weight=0.0)


class ActingFewStep(nn.Module):
    """A mixture of samples, all equally likely, as a teacher's; teacher: which refines them on the
    way."""

    def __init__(
        self,
        student: nn.Module,
        normalizer: Normalizer,
        objective: FewStep,
        teacher: Denoiser | None = None,
        refinement: Refinement = NOT_REFINED,
    ):
        """Raises ValueError for a refinement without a teacher."""
        super().__init__()
        self.student, self.units, self.objective = student, Units(normalizer), objective
        self.refinement, self.levels = refinement, objective.refined_levels(refinement)
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
        cond, count, dim = self.units.features(window), len(noise), self.dim
        start, drawn, own = noise.tensor_split([dim, dim + self.drawn], dim=1)
        given = self.objective.sigma_max * start, cond.expand(count, -1)
        if self.teacher is None:
            chunks = self.objective.sample(self.student, *given, Columns(drawn))
        else:
            beside = self.teacher, self.refinement
            draws = Columns(own), Columns(drawn)
            chunks = self.objective.refined(self.student, *beside, *given, *draws)
        return torch.full((count,), -math.log(count)), self.units.chunk(chunks, cond)

    @torch.no_grad()
    def _count(self, starts: Tensor, cond: Tensor) -> int:
        """Numbers that are drawn beside the start. Sampling once also makes the levels that a
        tracer cannot."""
        draw = Columns(None)
        self.objective.sample(self.student, starts, cond, draw)
        return draw.used


class Columns:
    """Draws that are columns of noise (K, N), from the left; zeros where there is none."""

    def __init__(self, noise: Tensor | None):
        self._noise, self.used = noise, 0

    def __call__(self, like: Tensor) -> Tensor:
        first, self.used = self.used, self.used + math.prod(like.shape[1:])
        if self._noise is None:
            return torch.zeros_like(like)
        return self._noise[:, first : self.used].reshape(like.shape)


def few_step_graph(
    acting: ActingFewStep, window_shape: tuple[int, int], candidates: int = 1
) -> bytes:
    """policy.onnx, for so many samples at a time."""
    example = (torch.zeros(window_shape), torch.zeros(candidates, acting.noise_size))
    return to_onnx(acting, example, ["window", "noise"], ["log_gating", "means"])
