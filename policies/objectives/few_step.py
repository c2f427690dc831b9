"""What objectives have in common whose student is a network that makes a chunk of noise."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from torch import Tensor

from vdd_ros.policies.denoiser import Denoiser
from vdd_ros.policies.noise import NoiseConfig
from vdd_ros.policies.objectives.base import Net, Objective
from vdd_ros.policies.samplers import SAMPLERS, Draw
from vdd_ros.policies.teacher import SamplerConfig


@dataclass(frozen=True)
class FewStep(Objective[Net]):
    """sigma_min, sigma_max: the noise levels that its student knows; is_map: whether it is to lead
    each noise to where the teacher's ODE does, instead of matching a distribution.

    A method says what its student is made of (`student`) and how a chunk is made of noise: by
    `recipe`, one call as long as it says nothing else, or, where no sampler does it, by `sample`.
    Export traces `sample` through: levels that it reads are made once, before, as `sigmas` are.
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

    def student(self, begin: Denoiser) -> Net:
        """What is to be trained, made of a net like its teacher's."""
        raise NotImplementedError(f"{type(self).__name__} needs a student")

    def sample(
        self, student: Net, starts: Tensor, cond: Tensor, draw: Draw | None = None
    ) -> Tensor:
        """(B, D) starts, sigma_max N(0, I), and (B, C) -> (B, D) chunks; draw: for recipes that add
        noise on the way."""
        return SAMPLERS[self.recipe.name](student, starts, self.sigmas, cond, draw)


@dataclass(frozen=True)
class FewStepDenoiser(FewStep[Denoiser]):
    """Its student is a net in the form of its teacher's, and begins as that."""

    @property
    def boundary(self) -> float:
        """The noise level at which its student changes nothing, 0 for a denoiser."""
        return 0.0

    def student(self, begin: Denoiser) -> Denoiser:
        """A copy to be trained."""
        student = copy.deepcopy(begin).train()
        student.boundary = self.boundary
        return student
