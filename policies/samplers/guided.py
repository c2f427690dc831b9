"""Distillation++: a teacher refines what a few-step student says while it is sampled (Park, Lee and
Ye 2025).

In each of the first steps, from level t to the next level s, the student's clean chunk x is noised
anew and moved towards what the teacher makes of that:

    x  <-  (1 - weight) x + weight D_teacher(x + s xi; s, o)

a proximal step on the score distillation loss of the chunk itself. No parameter changes. The
sampler, whichever it is, goes on from the new x. With a Gaussian teacher N(m, S^2) and
k = s^2 / (S^2 + s^2)

    mean of x - m, times      1 - weight k
    variance of x,  v  ->     (1 - weight k)^2 v + weight^2 (1 - k)^2 s^2

so a student that is biased is corrected, and a good one made a little worse. A large weight at a
high level pulls to the mean of everything; in the last step it narrows modes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from vdd_ros.policies.samplers.base import Denoise, Draw, clean_at
from vdd_ros.policies.settings import given


@dataclass(frozen=True)
class Refinement:
    """weight: 0 for none, and then nothing is asked or drawn; steps: the first ones, in which it
    happens; last: s in the last step, which has no next level, 0 to leave that step alone.

    It costs one evaluation of the teacher a step: compare with one more step of the student.
    """

    weight: float = 0.25
    steps: int = 1
    last: float = 0.0

    def __post_init__(self):
        if not 0.0 <= self.weight <= 1.0 or self.steps < 0 or self.last < 0.0:
            raise ValueError(
                f"weight is from 0 to 1, steps and last are not negative: {given(self)}"
            )

    def levels(self, sigmas: Sequence[float]) -> list[float]:
        """s of each step that is refined, for a sampler that visits n + 1 sigmas."""
        if not self.weight:
            return []
        levels = [level if level > 0.0 else self.last for level in sigmas[1:]]
        return [level for level in levels[: self.steps] if level > 0.0]


class Guided:
    """A student with its teacher beside it, for one sampling of B chunks.

    levels: of the refinements, one for each of its first steps; cond: (B, C) that the teacher
    knows, where a student is told more; draw: noise of its own, so that the sampler's stays what it
    is.
    """

    def __init__(
        self,
        student: Denoise,
        teacher: Denoise,
        weight: float,
        levels: list[float],
        cond: Tensor,
        draw: Draw,
    ):
        self._student, self._teacher, self._weight = student, teacher, weight
        self._levels, self._cond, self._draw = list(levels), cond, draw

    def __call__(self, x: Tensor, sigma: Tensor, cond: Tensor) -> Tensor:
        return self.refine(self._student(x, sigma, cond))

    def refine(self, clean: Tensor) -> Tensor:
        """A clean chunk after the next refinement, as it is where none is left."""
        if not self._levels:
            return clean
        level = self._levels.pop(0)
        seen = clean_at(self._teacher, clean + level * self._draw(clean), level, self._cond)
        return clean + self._weight * (seen - clean)
