"""dsno: several points of the teacher's path at once, of which the last is the chunk (Zheng et al.
2023).

    sum over m of w(sigma_m) | x_student(sigma_m) - x_teacher(sigma_m) |

All points are made by one call, each by the same net told its level, with layers between its blocks
in which the points of a path learn of each other. As for `kd`, paths are data.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from vdd_ros.policies.denoiser import Denoiser, ScoreModel
from vdd_ros.policies.nets import Told
from vdd_ros.policies.objectives.base import Paired
from vdd_ros.policies.objectives.signal import FromNoise
from vdd_ros.policies.samplers import Draw
from vdd_ros.policies.samplers.one_step import heun_step
from vdd_ros.policies.settings import given
from vdd_ros.policies.spacing import sigma_grid
from vdd_ros.policies.temporal import PathNet

HEAVIEST = 10.0  # weight of a point over that of one in mere noise
ROWS = 4096  # of paths at a time, few enough to stay in a processor's cache


class Paths(NamedTuple):
    """cond: (B, C); starts: (B, D) sigma_max N(0, I); points: (B, M, D) of the path from each."""

    cond: Tensor
    starts: Tensor
    points: Tensor


@dataclass(frozen=True)
class Dsno(FromNoise):
    """points: of a path; frequencies: of the layers between them, kept; steps: of Heun's to make a
    path, a multiple of points."""

    summary: ClassVar[str] = "several points of the teacher's path from noise in one call"
    paper: ClassVar[str] = "Zheng et al., ICML 2023, arXiv:2211.13449"
    needs_samples: ClassVar[bool] = False
    needs_starts: ClassVar[bool] = True
    is_map: ClassVar[bool] = True

    points: int = 4
    frequencies: int = 2
    steps: int = 20

    def __post_init__(self):
        if self.points < 2 or self.steps < self.points or self.steps % self.points:
            raise ValueError(
                f"steps are a multiple of points, of which there are several: {given(self)}"
            )

    @cached_property
    def levels(self) -> Tensor:
        """(M,) float32, falling to 0: of the points."""
        grid = sigma_grid(self.noise, self.steps).float()
        return grid[:: self.steps // self.points][1:]

    def student(self, begin: Denoiser) -> Denoiser:
        student = super().student(begin)
        assert isinstance(student.net, Told)
        student.net.net = PathNet(student.net.net, self.points, self.frequencies)
        return student

    @torch.no_grad()
    def prepared(self, data: Paired, teacher: ScoreModel) -> Paths:
        """The path from every start."""
        parts = zip(data.starts.split(ROWS), data.cond.split(ROWS), strict=True)
        points = torch.cat([self._path(teacher, starts, cond) for starts, cond in parts])
        return Paths(data.cond, data.starts, points)

    def _path(self, teacher: ScoreModel, starts: Tensor, cond: Tensor) -> Tensor:
        """(B, M, D)."""
        x, seen = starts, []
        for high, low in pairwise(sigma_grid(self.noise, self.steps).tolist()):
            x = heun_step(teacher.denoise, x, high, low, cond)
            seen.append(x)
        return torch.stack(seen[self.steps // self.points - 1 :: self.steps // self.points], 1)

    def path(self, student: nn.Module, starts: Tensor, cond: Tensor) -> Tensor:
        """(B, M, D): what the student says."""
        rows = [part.repeat_interleave(self.points, 0) for part in (starts, cond)]
        levels = self.levels.to(starts).repeat(len(starts))
        return self.point(student, rows[0], levels, rows[1]).unflatten(0, (-1, self.points))

    def sample(
        self, student: Denoiser, starts: Tensor, cond: Tensor, draw: Draw | None = None
    ) -> Tensor:
        return self.path(student, starts, cond)[:, -1]

    def loss(
        self,
        student: nn.Module,
        teacher: ScoreModel,
        batch: Paths,
        progress: float,
        generator: torch.Generator,
    ) -> Tensor:
        missed = (self.path(student, batch.starts, batch.cond) - batch.points).abs().mean((0, 2))
        return (self.levels.reciprocal().clamp(1.0, HEAVIEST) * missed).mean()
