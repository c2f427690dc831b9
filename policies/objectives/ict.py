"""ict: consistency training with ever finer levels (Song and Dhariwal 2024).

With few levels steps are long and what is learned is biased; with many it is right but slow, and of
much variance. So their number doubles over the training, from `first` to `levels`. Levels are drawn
where chunks are decided: ln sigma ~ N(log_mean, log_std^2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from vdd_ros.policies.objectives.consistency import Ct
from vdd_ros.policies.settings import given
from vdd_ros.policies.spacing import rho


@dataclass(frozen=True)
class Ict(Ct):
    """first, levels: noise levels at the beginning and in the end; log_mean, log_std: the paper's
    P_mean and P_std. The others are those of ct, with the paper's weight, one over the distance.

    The paper's width, .00054 sqrt(D), makes the metric a length: see consistency.py.
    """

    summary: ClassVar[str] = "ct with ever finer levels, drawn where chunks are decided"
    paper: ClassVar[str] = "Song and Dhariwal, ICLR 2024, arXiv:2310.14189"

    first: int = 10
    levels: int = 640
    log_mean: float = -1.1
    log_std: float = 2.0

    def __post_init__(self):
        super().__post_init__()
        if not 2 <= self.first <= self.levels or self.log_std <= 0.0:
            raise ValueError(
                f"levels grow from first, 2 or more; log_std is positive: {given(self)}"
            )

    def count(self, progress: float) -> int:
        """Levels at a progress: each doubling lasts equally long."""
        lasting = math.floor(math.log2(self.levels / self.first)) + 1
        return min(self.first * 2 ** int(progress * lasting), self.levels)

    def draw_levels(
        self, count: int, progress: float, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        grid = rho(self.count(progress), self.sigma_max, self.sigma_min, self.noise.rho).float()
        below = torch.special.ndtr((grid.log() - self.log_mean) / self.log_std)
        share = below[:-1] - below[1:]  # of the levels between two of the grid
        uniform = torch.rand((count,), generator=generator)
        cell = torch.searchsorted(share.cumsum(0) / share.sum(), uniform)
        cell = cell.clamp_max(len(share) - 1)
        return grid[cell], grid[cell + 1]
