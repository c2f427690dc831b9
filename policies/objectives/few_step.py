"""What objectives have in common whose student is a network that makes a chunk of noise."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from torch import Tensor

from vdd_ros.policies.denoiser import Denoiser, ScoreModel
from vdd_ros.policies.noise import NoiseConfig
from vdd_ros.policies.objectives.base import Objective
from vdd_ros.policies.samplers import SAMPLERS, Denoise, Draw
from vdd_ros.policies.samplers.base import no_noise
from vdd_ros.policies.samplers.guided import Guided, Refinement
from vdd_ros.policies.teacher import SamplerConfig


@dataclass(frozen=True)
class FewStep(Objective[Denoiser]):
    """sigma_min, sigma_max: the noise levels that its student knows; is_map: whether it is to lead
    each noise to where the teacher's ODE does, instead of matching a distribution.

    A method says what its student is made of (`student`) and how a chunk is made of noise: by
    `recipe`, one call as long as it says nothing else, which asks the student as `denoiser` says,
    or, where no sampler does it, by `sample`. Export traces `sample` through: levels that it reads
    are made once, before, as `sigmas` are.
    """

    is_map: ClassVar[bool] = False

    sigma_min: float = 0.01
    sigma_max: float = 10.0

    @property
    def recipe(self) -> SamplerConfig:
        """How its student is sampled."""
        return SamplerConfig("euler", 1)

    @property
    def noise(self) -> NoiseConfig:
        return NoiseConfig(sigma_min=self.sigma_min, sigma_max=self.sigma_max)

    @cached_property
    def sigmas(self) -> Tensor:
        """(n + 1,) float64: the noise levels that sampling visits, then 0."""
        return self.recipe.sigmas(self.noise)

    @property
    def boundary(self) -> float:
        """The noise level at which its student changes nothing, 0 for a denoiser."""
        return 0.0

    def student(self, begin: Denoiser) -> Denoiser:
        """What is to be trained: a copy of a net like its teacher's, or more made of one."""
        student = copy.deepcopy(begin).train()
        student.boundary = self.boundary
        return student

    def denoiser(self, student: Any, draw: Draw) -> Denoise:
        """How samplers ask its student for a clean chunk; draw: for one that needs noise."""
        return student

    def sample(
        self, student: Any, starts: Tensor, cond: Tensor, draw: Draw | None = None
    ) -> Tensor:
        """(B, D) starts, sigma_max N(0, I), and (B, C) -> (B, D) chunks; draw: for recipes that add
        noise on the way."""
        asked = self.denoiser(student, draw or no_noise)
        return SAMPLERS[self.recipe.name](asked, starts, self.sigmas, cond, draw)

    @property
    def says_clean(self) -> bool:
        """Whether `sample` asks its student once in each of its steps, for a clean chunk."""
        return True

    @cached_property
    def _visited(self) -> list[float]:
        return self.sigmas.tolist()

    def refined_levels(self, refinement: Refinement) -> list[float]:
        """The noise level of each refinement of a chunk. One whose steps say no clean chunk is
        refined at the end alone."""
        return refinement.levels(self._visited if self.says_clean else [self.sigma_max, 0.0])

    def refined(
        self,
        student: Any,
        teacher: ScoreModel,
        refinement: Refinement,
        starts: Tensor,
        cond: Tensor,
        own: Draw,
        draw: Draw | None = None,
    ) -> Tensor:
        """`sample`, in which a teacher refines clean chunks on the way (Distillation++); own: noise
        for that, apart from what `draw` gives."""
        levels = self.refined_levels(refinement)
        guided: Any = Guided(student, teacher.denoise, refinement.weight, levels, cond, own)
        if self.says_clean:
            return self.sample(guided, starts, cond, draw)
        return guided.refine(self.sample(student, starts, cond, draw))
