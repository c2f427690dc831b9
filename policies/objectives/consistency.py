"""cd, ct, ict: a function that is the same along every path of the ODE (Song et al. 2023).

    d( f(x_t, t; o), sg f(x_s, s; o) ) weight(t, s),    x_t = a + t xi,   s the next level below t

cd    x_s is the teacher's step of Heun's from x_t
ct    x_s = a + s xi with the same noise: no teacher
ict   as ct, with ever finer levels (Song and Dhariwal 2024)

At the lowest level f is the identity by its form (`Denoiser.boundary`), which is what all levels
above get their answers from. Without it, f = 0 everywhere is a perfect solution.

The metric d is |.|^2 or, as in the improved recipe (Song and Dhariwal 2024), a pseudo-Huber
distance sqrt(|.|^2 + c^2) - c. A c far below the steps of f makes it a length, whose best point is
a median: with few dimensions that puts wrong weights on modes, so c is as wide as a mode here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from vdd_ros.policies.denoiser import ScoreModel
from vdd_ros.policies.objectives.base import STUDENT, Batch
from vdd_ros.policies.objectives.compared import Compared
from vdd_ros.policies.objectives.steps import heun_step
from vdd_ros.policies.players import Nets, Player, parameters_of
from vdd_ros.policies.settings import given
from vdd_ros.policies.spacing import rho


@dataclass(frozen=True)
class Consistency(Compared, ABC):
    """levels: noise levels from sigma_max to the boundary; width: the c above; weight: of a pair of
    levels, one over their distance, 1 + 1 / t^2 or the same; follow: whether the self-target is
    the running average of the student, or the student itself."""

    is_map: ClassVar[bool] = True
    needs_demos: ClassVar[bool] = True
    needs_samples: ClassVar[bool] = False

    levels: int = 40
    metric: Literal["huber", "square"] = "huber"
    width: float = 0.1
    weight: Literal["inverse_step", "snr", "uniform"] = "inverse_step"
    follow: Literal["student", "average"] = "student"

    def __post_init__(self):
        super().__post_init__()
        if not (0.0 < self.sigma_min < self.sigma_max and self.levels >= 2 and self.width > 0.0):
            raise ValueError(
                f"levels fall from sigma_max to sigma_min, width is positive: {given(self)}"
            )

    @property
    def boundary(self) -> float:
        return self.sigma_min

    @property
    def grid(self) -> Tensor:
        """(levels,) float32, falling."""
        return rho(self.levels, self.sigma_max, self.sigma_min, self.noise.rho).float()

    def players(self, nets: Nets, teacher: ScoreModel) -> list[Player]:
        student = nets[STUDENT]
        target = student if self.follow == "student" else nets.average(STUDENT)

        def loss(batch: Batch, progress: float, generator: torch.Generator) -> Tensor:
            return self.pair_loss(student, target, teacher, batch, generator, progress)

        return [Player(STUDENT, parameters_of(student), loss)]

    def pair_loss(
        self,
        student: torch.nn.Module,
        target: torch.nn.Module,
        teacher: ScoreModel,
        batch: Batch,
        generator: torch.Generator,
        progress: float = 0.0,
    ) -> Tensor:
        """Of one pair of levels for each row; nothing flows through the target."""
        high, low = self.draw_levels(len(batch.demos), progress, generator)
        noise = torch.randn(batch.demos.shape, generator=generator)
        x = batch.demos + high[:, None] * noise
        with torch.no_grad():
            below = self.step(teacher, x, high, low, batch, noise)
            aim = target(below, low, batch.cond)
        missed = self.difference(student(x, high, batch.cond), aim, batch.cond)
        distance = self._distance(missed)
        return (self._weights(high, low) * distance).mean()

    def draw_levels(
        self, count: int, progress: float, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """(count,) each: neighbouring levels, the upper and the lower one."""
        level = torch.randint(self.levels - 1, (count,), generator=generator)
        return self.grid[level], self.grid[level + 1]

    @abstractmethod
    def step(
        self, teacher: ScoreModel, x: Tensor, high: Tensor, low: Tensor, batch: Batch, noise: Tensor
    ) -> Tensor:
        """(B, D): x, which is at levels high (B,), at levels low (B,)."""

    def _distance(self, difference: Tensor) -> Tensor:
        squared = difference.square().sum(1)
        if self.metric == "square":
            return squared
        return (squared + self.width**2).sqrt() - self.width

    def _weights(self, high: Tensor, low: Tensor) -> Tensor:
        if self.weight == "inverse_step":
            return 1.0 / (high - low)
        return 1.0 + high**-2 if self.weight == "snr" else torch.ones_like(high)


@dataclass(frozen=True)
class Cd(Consistency):
    """Consistency distillation: along the teacher's ODE."""

    summary: ClassVar[str] = "a function that is the same along every path of the teacher's ODE"
    paper: ClassVar[str] = "Song et al., ICML 2023, arXiv:2303.01469"

    def step(
        self, teacher: ScoreModel, x: Tensor, high: Tensor, low: Tensor, batch: Batch, noise: Tensor
    ) -> Tensor:
        return heun_step(teacher, x, high, low, batch.cond)


@dataclass(frozen=True)
class Ct(Consistency):
    """Consistency training: along the line to the demonstration, which is right on average."""

    summary: ClassVar[str] = "cd without a teacher, along lines from demonstrations to noise"
    paper: ClassVar[str] = "Song et al., ICML 2023, arXiv:2303.01469"

    def step(
        self, teacher: ScoreModel, x: Tensor, high: Tensor, low: Tensor, batch: Batch, noise: Tensor
    ) -> Tensor:
        return batch.demos + low[:, None] * noise
