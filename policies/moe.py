"""GaussianMoE: the student, one network call from observation to a mixture over action chunks."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vdd_ros.policies.mixture import GaussianMixture
from vdd_ros.policies.nets import Trunk


@dataclass(frozen=True)
class StudentConfig:
    """n_experts: K; bottleneck: width through which the correlations of a chunk's numbers depend
    on the observation, 0 for experts without correlations; scale_floor: smallest conditional
    standard deviation, in normalised action units.
    """

    n_experts: int = 8
    width: int = 320
    blocks: int = 2
    octaves: int = 4
    bottleneck: int = 88
    scale_floor: float = 0.01

    def __post_init__(self):
        if min(self.n_experts, self.width, self.blocks) < 1 or self.bottleneck < 0:
            raise ValueError(f"sizes must be positive: {self}")
        if not self.scale_floor > 0.0:
            raise ValueError(f"scale_floor must be positive: {self}")


class GaussianMoE(nn.Module):
    """q(a | o) = sum_z g_z(o) N(a; mu_z(o), Sigma_z(o)), Sigma_z full.

    Sigma^-1 = W^T W with W = diag(1 / s) (I + M), M strictly lower triangular: s_i is the standard
    deviation of number i of a chunk given those before it, row i of M how it follows them
    (Pourahmadi 1999). Gating, means and covariances are heads on one trunk; acting needs the first
    two alone.
    """

    def __init__(self, config: StudentConfig, newest_dim: int, cond_dim: int, dim: int):
        super().__init__()
        self.config, self.dim = config, dim
        experts, width = config.n_experts, config.width
        self.trunk = Trunk(newest_dim, cond_dim, width, config.blocks, config.octaves)
        self.gating = nn.Linear(width, experts)
        self.mean = nn.Linear(width, experts * dim)
        self.log_scale = nn.Linear(width, experts * dim)
        if config.bottleneck:
            self.narrow = nn.Sequential(nn.Linear(width, config.bottleneck), nn.SiLU())
            self.follow = nn.Linear(config.bottleneck, experts * dim * (dim - 1) // 2)
        self.register_buffer("below", torch.tril_indices(dim, dim, -1), persistent=False)
        self._spread_experts()

    def _spread_experts(self) -> None:
        """Experts start apart, equally likely, as wide as the data and without correlation."""
        heads = [self.gating, self.log_scale]
        for head in [*heads, self.follow] if self.config.bottleneck else heads:
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)
        nn.init.normal_(self.mean.bias, std=0.7)

    def start_at(self, centres: Tensor) -> None:
        """Let the experts of an untrained student start at centres (K, D), wherever it looks."""
        with torch.no_grad():
            self.mean.bias.copy_(centres.flatten())

    def forward(self, cond: Tensor) -> GaussianMixture:
        """(B, C) -> B mixtures of K experts in D dimensions."""
        hidden = self.trunk(cond)
        shape = (len(cond), self.config.n_experts, self.dim)
        log_weights = torch.log_softmax(self.gating(hidden).float(), dim=-1)
        means = self.mean(hidden).float().view(shape)
        return GaussianMixture(log_weights, means, self._whitener(hidden, shape))

    def _whitener(self, hidden: Tensor, shape: tuple[int, int, int]) -> Tensor:
        raw = self.log_scale(hidden).float().view(shape)
        scale = self.config.scale_floor + nn.functional.softplus(raw + _SOFTPLUS_ONE)
        unit = torch.eye(self.dim).expand(*shape, self.dim).clone()
        if self.config.bottleneck:
            follow = self.follow(self.narrow(hidden)).float()
            unit[..., self.below[0], self.below[1]] = follow.view(*shape[:2], -1)
        return unit / scale[..., None]


def k_means(samples: Tensor, count: int, seed: int) -> Tensor:
    """(N, D) -> (count, D): centres of clusters, by k-means++ (Arthur and Vassilvitskii 2007).

    From centres at random, two experts easily end in one mode and one between two others, and
    neither likelihood nor reverse KL gets them out of there.
    """
    from scipy.cluster.vq import kmeans2

    centres, _ = kmeans2(samples.double().numpy(), count, minit="++", seed=seed)
    return torch.tensor(centres, dtype=samples.dtype)


_SOFTPLUS_ONE = 0.5413  # softplus of it is 1
