"""ctm: jumps from any level to any other (Kim et al. 2024).

    G(x, t -> s) = (s / t) x + (1 - s / t) g(x, t, s)

g is the student's denoiser, told s as well. At s = t the jump is nothing, whatever g says there,
and g(x, t, t) can be a denoiser. The teacher steps from t to the next level u; what a jump on from
there finds is what one from t has to find:

    | G'( G(x_t, t -> s), s -> low ) - G'( G'(x_u, u -> s), s -> low ) |^2

G': the self-target, held. Both are compared at the lowest level, and the gradient of the first
flows through G', not to it. Beside it is g(x_t, t, t)'s own loss as a denoiser, by which samplers
of many steps can use it. On G(x, t -> 0) instead, as in some code, that loss asks for the mean of
everything.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn

from vdd_ros.policies.denoiser import Denoiser, ScoreModel
from vdd_ros.policies.noise import noised
from vdd_ros.policies.objectives.base import STUDENT, Batch
from vdd_ros.policies.objectives.compared import Compared
from vdd_ros.policies.objectives.copies import Follower
from vdd_ros.policies.objectives.steps import heun_step
from vdd_ros.policies.objectives.told import told
from vdd_ros.policies.players import Nets, Player, parameters_of
from vdd_ros.policies.samplers import Draw
from vdd_ros.policies.settings import given
from vdd_ros.policies.spacing import rho
from vdd_ros.policies.teacher import SamplerConfig

SELF = "self-target"


@dataclass(frozen=True)
class Ctm(Compared):
    """levels: from sigma_max to sigma_min; denoising: weight of the loss as a denoiser; decay: of
    the self-target; steps: in which its student is sampled; noise_share: gamma of the paper, how
    much of the noise of a level is new there, 0 for the ODE, 1 for a consistency function's way.
    """

    summary: ClassVar[str] = "jumps along the teacher's ODE from any noise level to any other"
    paper: ClassVar[str] = "Kim et al., ICLR 2024, arXiv:2310.02279"
    needs_demos: ClassVar[bool] = True
    needs_samples: ClassVar[bool] = False
    is_map: ClassVar[bool] = True

    levels: int = 40
    denoising: float = 0.1
    decay: float = 0.95
    steps: int = 1
    noise_share: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        if min(self.levels, self.steps + 1) < 2 or self.denoising < 0.0:
            raise ValueError(f"levels are 2 or more, denoising is not negative: {given(self)}")
        if not (0.0 <= self.decay < 1.0 and 0.0 <= self.noise_share <= 1.0):
            raise ValueError(f"decay and noise_share are numbers from 0 to 1: {given(self)}")

    @property
    def recipe(self) -> SamplerConfig:
        return SamplerConfig("euler", self.steps)

    @cached_property
    def sigmas(self) -> Tensor:
        """(steps + 1,), down to sigma_min, where its jumps end."""
        return rho(self.steps + 1, self.sigma_max, self.sigma_min, self.noise.rho)

    @property
    def says_clean(self) -> bool:
        return False

    def student(self, begin: Denoiser) -> Denoiser:
        return told(super().student(begin))

    def sample(
        self, student: Denoiser, starts: Tensor, cond: Tensor, draw: Draw | None = None
    ) -> Tensor:
        if self.noise_share and draw is None:
            raise ValueError("jumps with new noise need `draw`, which gives it")
        levels, x = self.sigmas.tolist(), starts
        for high, low in pairwise(levels):
            share = 0.0 if low == levels[-1] else self.noise_share
            kept = max(low * math.sqrt(1.0 - share**2), self.sigma_min)
            x = jump(student, x, x.new_tensor([high]), x.new_tensor([kept]), cond)
            if share and draw:
                x = x + share * low * draw(x)
        return x

    def auxiliaries(self, student: Denoiser, teacher: ScoreModel) -> dict[str, nn.Module]:
        return {SELF: Follower(student, self.decay)}

    def players(self, nets: Nets, teacher: ScoreModel) -> list[Player]:
        student, self_target = nets[STUDENT], nets[SELF]
        assert isinstance(self_target, Follower)

        def loss(batch: Batch, progress: float, generator: torch.Generator) -> Tensor:
            self_target.follow(student)
            return self.jump_loss(student, self_target.denoiser, teacher, batch, generator)

        return [Player(STUDENT, parameters_of(student), loss)]

    def jump_loss(
        self,
        student: nn.Module,
        held: nn.Module,
        teacher: ScoreModel,
        batch: Batch,
        generator: torch.Generator,
    ) -> Tensor:
        """From one level to one lower for each row; held: the self-target, without gradients."""
        cond, count = batch.cond, len(batch.demos)
        grid = rho(self.levels, self.sigma_max, self.sigma_min, self.noise.rho).float()
        first = torch.randint(self.levels - 1, (count,), generator=generator)
        further = torch.rand((count,), generator=generator) * (self.levels - 1 - first)
        t, u, s = grid[first], grid[first + 1], grid[first + 1 + further.long()]
        low = grid[-1:].expand(count)
        x = noised(batch.demos, t, generator)
        with torch.no_grad():
            below = heun_step(teacher, x, t, u, cond)
            aim = jump(held, jump(held, below, u, s, cond), s, low, cond)
        found = jump(held, jump(student, x, t, s, cond), s, low, cond)
        loss = self.mean_square(found, aim, cond)
        if self.denoising:
            sd = student.sigma_data
            weight = (t**2 + sd**2) / (t * sd) ** 2
            error = (destination(student, x, t, t, cond) - batch.demos).square().mean(1)
            loss = loss + self.denoising * (weight * error).mean()
        return loss


def destination(student: nn.Module, x: Tensor, t: Tensor, s: Tensor, cond: Tensor) -> Tensor:
    """(B, D): g(x, t, s); t, s: (B,) or (1,)."""
    where = (s.log() / 4.0).expand(len(x))[:, None]
    return student(x, t, torch.cat([cond, where], dim=1))


def jump(student: nn.Module, x: Tensor, t: Tensor, s: Tensor, cond: Tensor) -> Tensor:
    """(B, D): G(x, t -> s); t, s: (B,) or (1,)."""
    ratio = (s / t)[:, None]
    return ratio * x + (1.0 - ratio) * destination(student, x, t, s, cond)
