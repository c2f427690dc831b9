"""What objectives have in common that follow the difference of two scores.

A student makes x = D_student(sigma_init z; sigma_init, o) of noise z. At x_sigma = x + sigma xi,

    gradient with respect to x:    g = w [ D_own(x_sigma; sigma, o) - D_teacher(x_sigma; sigma, o) ]

held constant, as is everything it is made of. It is that of 1/2 |x - sg(x - g)|^2, which is the
loss here. As score = (D - x) / sigma^2, -g leads from where the student puts too much to where it
puts too little. Which noise leads where is left to the student: methods match a distribution.

D_own stands for the score of what the student makes. For a mixture of Gaussians it is exact, and
this gradient is that of `vdd`. A network has none, and methods differ in what they take for it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor, nn

from vdd_ros.policies.denoiser import ScoreModel
from vdd_ros.policies.noise import log_uniform, noised
from vdd_ros.policies.objectives.base import STUDENT, Batch
from vdd_ros.policies.objectives.few_step import FewStep
from vdd_ros.policies.players import Nets, Player, parameters_of
from vdd_ros.policies.samplers import Draw
from vdd_ros.policies.settings import given


@dataclass(frozen=True)
class ScoreDifference(FewStep, ABC):
    """sigma_init: the noise level at which the student takes its noise, at most sigma_max; rate:
    of the student's learning, times the training's; momentum: beta1 of Adam, none as gradients are
    those of single draws, of a difference that changes with the student."""

    needs_samples: ClassVar[bool] = False

    sigma_init: float = 1.0
    rate: float = 1.0
    momentum: float = 0.0

    def __post_init__(self):
        if not 0.0 < self.sigma_min <= self.sigma_init <= self.sigma_max:
            raise ValueError(f"sigma_init lies between sigma_min and sigma_max: {given(self)}")
        if not 0.0 <= self.momentum < 1.0 or self.rate <= 0.0:
            raise ValueError(f"momentum is 0 or more and below 1, rate is positive: {given(self)}")

    @cached_property
    def sigmas(self) -> Tensor:
        return torch.tensor([self.sigma_init, 0.0], dtype=torch.float64)

    def sample(
        self, student: nn.Module, starts: Tensor, cond: Tensor, draw: Draw | None = None
    ) -> Tensor:
        sigma = starts.new_full((1,), self.sigma_init)
        return student(self.sigma_init / self.sigma_max * starts, sigma, cond)

    def players(self, nets: Nets, teacher: ScoreModel) -> list[Player]:
        def loss(batch: Batch, progress: float, generator: torch.Generator) -> Tensor:
            return self.student_loss(nets, teacher, batch, generator)

        moved = parameters_of(nets[STUDENT])
        return [Player(STUDENT, moved, loss, rate=self.rate, betas=(self.momentum, 0.999))]

    def student_loss(
        self, nets: Nets, teacher: ScoreModel, batch: Batch, generator: torch.Generator
    ) -> Tensor:
        """Of a chunk for each observation of a batch."""
        x = self.generated(nets[STUDENT], batch, generator)
        return self.loss_at(x, nets, teacher, batch, generator)

    def loss_at(
        self, x: Tensor, nets: Nets, teacher: ScoreModel, batch: Batch, generator: torch.Generator
    ) -> Tensor:
        """Whose gradient with respect to x (B, D) is g, at one level for each row."""
        x_sigma, sigma = self.noised(x.detach(), generator)
        return follow(x, self.direction(nets, teacher, x.detach(), x_sigma, sigma, batch.cond))

    def generated(self, student: nn.Module, batch: Batch, generator: torch.Generator) -> Tensor:
        """(B, D): a chunk of noise for each observation of a batch."""
        z = torch.randn(batch.demos.shape, generator=generator, dtype=batch.cond.dtype)
        return self.sample(student, self.sigma_max * z, batch.cond)

    def noised(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """x_sigma (B, D) and sigma (B,)."""
        sigma = self.levels(len(x), generator).to(x)
        return noised(x, sigma, generator), sigma

    @abstractmethod
    def levels(self, count: int, generator: torch.Generator) -> Tensor:
        """(count,) noise levels of x_sigma."""

    @torch.no_grad()
    def direction(
        self,
        nets: Nets,
        teacher: ScoreModel,
        x: Tensor,
        noised: Tensor,
        sigma: Tensor,
        cond: Tensor,
    ) -> Tensor:
        """(B, D): the g above for x (B, D), noised at sigma (B,)."""
        real = self.real(teacher, noised, sigma, cond)
        own = self.own(nets, x, noised, sigma, cond)
        return self.weight(sigma, x, real)[:, None] * (own - real)

    def real(self, teacher: ScoreModel, noised: Tensor, sigma: Tensor, cond: Tensor) -> Tensor:
        """(B, D): the clean chunk that the teacher sees in x_sigma."""
        return teacher.denoise(noised, sigma, cond)

    @abstractmethod
    def own(self, nets: Nets, x: Tensor, noised: Tensor, sigma: Tensor, cond: Tensor) -> Tensor:
        """(B, D): D_own, the mean of what the student may have made x_sigma of."""

    @abstractmethod
    def weight(self, sigma: Tensor, x: Tensor, real: Tensor) -> Tensor:
        """(B,): the w above."""


@dataclass(frozen=True)
class NoiseDifference(ScoreDifference, ABC):
    """Of those that compare noises, eps = (x_sigma - D) / sigma; level_low, level_high: of x_sigma,
    log-uniform."""

    level_low: float = 0.05
    level_high: float = 5.0

    def __post_init__(self):
        super().__post_init__()
        if not 0.0 < self.level_low < self.level_high:
            raise ValueError(f"need 0 < level_low < level_high: {given(self)}")

    def levels(self, count: int, generator: torch.Generator) -> Tensor:
        return log_uniform(self.level_low, self.level_high, count, generator)

    def weight(self, sigma: Tensor, x: Tensor, real: Tensor) -> Tensor:
        return 1.0 / sigma


def follow(x: Tensor, gradient: Tensor) -> Tensor:
    """A scalar whose gradient with respect to x (B, D) is the given one, per number of a batch."""
    return 0.5 * (x - (x - gradient).detach()).square().mean()
