"""GaussianMoE: the student, one network call from observation to a mixture over action chunks."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vdd_ros.policies.mixture import GaussianMixture
from vdd_ros.policies.nets import Trunk


@dataclass(frozen=True)
class StudentConfig:
    """n_experts: K; rank: R of the covariance; bottleneck: width through which the covariance's
    factors depend on the observation; scale_floor: smallest standard deviation of an expert in any
    direction, in normalised action units.
    """

    n_experts: int = 8
    rank: int = 32
    width: int = 320
    blocks: int = 2
    octaves: int = 3
    bottleneck: int = 12
    scale_floor: float = 0.01

    def __post_init__(self):
        if min(self.n_experts, self.width, self.blocks, self.bottleneck) < 1 or self.rank < 0:
            raise ValueError(f"sizes must be positive: {self}")


class GaussianMoE(nn.Module):
    """q(a | o) = sum_z g_z(o) N(a; mu_z(o), diag(d_z(o)^2) + U_z(o) U_z(o)^T).

    The gating, the means and the covariances are heads on one trunk. The factors U have K*D*R
    numbers; they depend on the observation through a few features only, which keeps the student
    smaller than its teacher. Acting needs neither d nor U.
    """

    def __init__(self, config: StudentConfig, cond_dim: int, dim: int):
        super().__init__()
        self.config, self.dim = config, dim
        experts, width = config.n_experts, config.width
        self.trunk = Trunk(cond_dim, width, config.blocks, config.octaves)
        self.gating = nn.Linear(width, experts)
        self.mean = nn.Linear(width, experts * dim)
        self.log_scale = nn.Linear(width, experts * dim)
        self.narrow = nn.Sequential(nn.Linear(width, config.bottleneck), nn.Tanh())
        self.factor = nn.Linear(config.bottleneck, experts * dim * config.rank)
        self._spread_experts()

    def _spread_experts(self) -> None:
        """Experts start apart, wide and equally likely; the factors start small."""
        nn.init.zeros_(self.gating.weight)
        nn.init.zeros_(self.gating.bias)
        nn.init.normal_(self.mean.bias, std=0.7)
        nn.init.constant_(self.log_scale.bias, -1.0)
        nn.init.normal_(self.factor.bias, std=0.3 / max(1, self.config.rank) ** 0.5)

    def forward(self, cond: Tensor, with_factors: bool = True) -> GaussianMixture:
        """(B, C) -> B mixtures of K experts in D dimensions; diagonal ones without the factors."""
        hidden = self.trunk(cond)
        shape = (len(cond), self.config.n_experts, self.dim)
        return GaussianMixture(
            log_weights=torch.log_softmax(self.gating(hidden), dim=-1),
            means=self.mean(hidden).view(shape),
            scales=self.config.scale_floor
            + nn.functional.softplus(self.log_scale(hidden)).view(shape),
            factors=self._factors(hidden, shape) if with_factors else hidden.new_zeros(*shape, 0),
        )

    def _factors(self, hidden: Tensor, shape: tuple[int, int, int]) -> Tensor:
        return self.factor(self.narrow(hidden)).view(*shape, self.config.rank)
