"""G6: six modes of unequal weight on a circle that an observation turns."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from vdd_ros.policies.beds.bed import Bed
from vdd_ros.policies.beds.weights import weight_figures
from vdd_ros.policies.covariance import Diagonal
from vdd_ros.policies.mixture import GaussianMixture

WEIGHTS = (0.30, 0.20, 0.20, 0.15, 0.10, 0.05)
STD = 0.06
TURN = 0.5  # [rad] of an observation of 1
OFF = 4.0  # standard deviations from the nearest mode


class G6(Bed):
    """Six Gaussians on the unit circle at angles 2 pi k / 6 + c / 2."""

    name: ClassVar[str] = "g6"
    dim: ClassVar[int] = 2
    modes: ClassVar[int] = len(WEIGHTS)

    def mixture(self, cond: Tensor) -> GaussianMixture:
        angle = 2 * math.pi / 6 * torch.arange(6).to(cond) + TURN * cond
        means = torch.stack([angle.cos(), angle.sin()], dim=-1)
        log_weights = cond.new_tensor(WEIGHTS).log().expand(len(cond), -1)
        return GaussianMixture(log_weights, means, Diagonal(torch.full_like(means, STD)))

    def turned(self, chunks: Tensor, cond: Tensor) -> Tensor:
        cos, sin = (TURN * cond[:, 0]).cos(), (TURN * cond[:, 0]).sin()
        x, y = chunks.unbind(-1)
        return torch.stack([cos * x + sin * y, cos * y - sin * x], dim=-1)

    def shares(self, turned: Tensor, _: Tensor) -> dict[str, float]:
        centres = self.mixture(turned.new_zeros(1, 1)).means[0]
        distance, nearest = torch.cdist(turned, centres).min(1)
        within = distance <= OFF * STD
        spread = distance[within].square().mean().sqrt() / math.sqrt(self.dim)
        return {
            **weight_figures(nearest, within, WEIGHTS),
            "off": float((~within).float().mean()),
            "stdr": float(spread / STD) if within.any() else 0.0,
        }
