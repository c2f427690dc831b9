"""Controls: ways that are known to fail. A figure or a band that lets one of them pass is broken.

Each is a published method with one thing wrong. That they can be told from the method itself by
their figures, on a bed whose truth is known, is what a verdict on the others rests on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from vdd_ros.policies.denoiser import Denoiser, ScoreModel
from vdd_ros.policies.objectives import FewStep, Paired
from vdd_ros.policies.objectives.consistency import Cd
from vdd_ros.policies.objectives.dmd import Dmd
from vdd_ros.policies.objectives.kd import Kd
from vdd_ros.policies.objectives.progressive import Progressive
from vdd_ros.policies.players import Nets, Player
from vdd_ros.policies.spacing import sigma_grid

MEANS = "posterior-mean"  # a control that needs no training


@dataclass(frozen=True)
class KdUnpaired(Kd):
    """Ends of the ODE from other noise than what they are shown with."""

    summary: ClassVar[str] = "kd with noise that is not its pair's: the best answer is the mean"

    def loss(
        self,
        student: Denoiser,
        teacher: ScoreModel,
        batch: Paired,
        progress: float,
        generator: torch.Generator,
    ) -> Tensor:
        other = batch._replace(starts=batch.starts.roll(1, 0))
        return super().loss(student, teacher, other, progress, generator)


@dataclass(frozen=True)
class ProgressiveNotNested(Progressive):
    """A grid of its own for each number of steps, of which the next has none of the levels."""

    summary: ClassVar[str] = "progressive with grids that are made anew in each phase"

    def grid(self, phase: int) -> Tensor:
        return sigma_grid(self.noise, self.steps >> phase).float()


@dataclass(frozen=True)
class CdUnbounded(Cd):
    """Its student says a clean chunk outright: nothing ties it to any, and one constant is the same
    along every path."""

    summary: ClassVar[str] = "cd without a boundary: a constant is a perfect solution"

    @property
    def boundary(self) -> float:
        return 0.0

    def student(self, begin: Denoiser) -> Denoiser:
        student = super().student(begin)
        student.prediction = "x0"
        return student


@dataclass(frozen=True)
class DmdFrozen(Dmd):
    """A fake score that stays the teacher's: the two differ nowhere, and what is left of the
    gradient leads all noise to one mode."""

    summary: ClassVar[str] = "dmd whose fake score never learns what its student makes"

    regression: float = 0.0

    def players(self, nets: Nets, teacher: ScoreModel) -> list[Player]:
        return super().players(nets, teacher)[:1]


CONTROLS: dict[str, type[FewStep]] = {
    "kd-unpaired": KdUnpaired,
    "progressive-not-nested": ProgressiveNotNested,
    "cd-unbounded": CdUnbounded,
    "dmd-frozen": DmdFrozen,
}
