"""GaussianMoE: the student, one network call from observation to a mixture over action chunks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from vdd_ros.policies.covariance import Covariance, Diagonal, Full, LowRank
from vdd_ros.policies.mixture import GaussianMixture
from vdd_ros.policies.nets import NetKind, NetSizes, Trunk
from vdd_ros.policies.settings import given
from vdd_ros.policies.transformer import TransformerTrunk, require_heads

CovarianceKind = Literal["full", "low-rank", "diagonal"]


@dataclass(frozen=True)
class StudentConfig:
    """n_experts: K; covariance: of an expert, diagonal for one without correlations; rank: columns
    of a low-rank one; bottleneck: width through which the correlations of a chunk's numbers depend
    on the observation; scale_floor: smallest standard deviation of a number given those it is
    correlated with, in normalised action units; trunk: a perceptron on the whole window or a
    causal transformer over its rows, whose blocks have six times the weights; heads: of its
    attention.
    """

    n_experts: int = 8
    width: int = 320
    blocks: int = 2
    octaves: int = 4
    bottleneck: int = 88
    scale_floor: float = 0.01
    covariance: CovarianceKind = "full"
    rank: int = 16
    trunk: NetKind = "mlp"
    heads: int = 4

    def __post_init__(self):
        if self.covariance not in get_args(CovarianceKind):
            raise ValueError(f"covariance is one of {get_args(CovarianceKind)}: {given(self)}")
        if self.trunk not in get_args(NetKind):
            raise ValueError(f"trunk is one of {get_args(NetKind)}: {given(self)}")
        if min(self.n_experts, self.width, self.blocks, self.bottleneck, self.rank) < 1:
            raise ValueError(f"sizes must be positive: {given(self)}")
        if not self.scale_floor > 0.0:
            raise ValueError(f"scale_floor must be positive: {given(self)}")
        if self.trunk == "transformer":
            require_heads(self.width, self.heads)


class GaussianMoE(nn.Module):
    """q(a | o) = sum_z g_z(o) N(a; mu_z(o), Sigma_z(o)).

    Gating, means and covariances are heads on one trunk; acting needs the first two alone. Of a
    covariance, s is at least the floor:

        full        Sigma^-1 = W^T W with W = diag(1 / s) (I + M), M strictly lower triangular: s_i
                    is the standard deviation of number i of a chunk given those before it, row i
                    of M how it follows them (Pourahmadi 1999)
        low-rank    Sigma = diag(s^2) + U U^T
        diagonal    Sigma = diag(s^2)
    """

    def __init__(
        self,
        config: StudentConfig,
        newest_dim: int,
        cond_dim: int,
        dim: int,
        images: int = 0,
        image_dim: int = 0,
    ):
        super().__init__()
        self.config, self.dim = config, dim
        self.sizes = NetSizes(newest_dim, cond_dim, dim, images, image_dim)
        experts, width = config.n_experts, config.width
        self.trunk = _trunk(config, self.sizes)
        self.gating = nn.Linear(width, experts)
        self.mean = nn.Linear(width, experts * dim)
        self.log_scale = nn.Linear(width, experts * dim)
        if config.covariance != "diagonal":
            self.narrow = nn.Sequential(nn.Linear(width, config.bottleneck), nn.SiLU())
        if config.covariance == "full":
            self.follow = nn.Linear(config.bottleneck, experts * dim * (dim - 1) // 2)
            self.register_buffer("below", torch.tril_indices(dim, dim, -1), persistent=False)
        if config.covariance == "low-rank":
            self.factor = nn.Linear(config.bottleneck, experts * dim * config.rank)
        self._spread_experts()

    def _spread_experts(self) -> None:
        """Experts start apart, equally likely, as wide as the data and hardly correlated: not at
        all if full; of low rank just so much that there is a slope away from none."""
        for name in ("gating", "log_scale", "follow", "factor"):
            if (head := getattr(self, name, None)) is not None:
                nn.init.zeros_(head.weight)
                nn.init.zeros_(head.bias)
        nn.init.normal_(self.mean.bias, std=0.7)
        if self.config.covariance == "low-rank":
            nn.init.normal_(self.factor.bias, std=FACTOR_START)

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
        return GaussianMixture(log_weights, means, self._covariance(hidden, shape))

    def _covariance(self, hidden: Tensor, shape: tuple[int, int, int]) -> Covariance:
        raw = self.log_scale(hidden).float().view(shape)
        scale = self.config.scale_floor + nn.functional.softplus(raw + _SOFTPLUS_ONE)
        if self.config.covariance == "diagonal":
            return Diagonal(scale)
        narrow = self.narrow(hidden)
        if self.config.covariance == "low-rank":
            return LowRank(scale, self.factor(narrow).float().view(*shape, self.config.rank))
        unit = torch.eye(self.dim).expand(*shape, self.dim).clone()
        unit[..., self.below[0], self.below[1]] = self.follow(narrow).float().view(*shape[:2], -1)
        return Full(unit * scale.reciprocal()[..., None])


def _trunk(config: StudentConfig, sizes: NetSizes) -> nn.Module:
    own = config.width, config.blocks, config.octaves
    if config.trunk == "transformer":
        return TransformerTrunk(sizes, *own, config.heads)
    return Trunk(sizes.newest_dim, sizes.cond_dim, *own)


def k_means(samples: Tensor, count: int, seed: int) -> Tensor:
    """(N, D) -> (count, D): centres of clusters, by k-means++ (Arthur and Vassilvitskii 2007).

    From centres at random, two experts easily end in one mode and one between two others, and
    neither likelihood nor reverse KL gets them out of there.
    """
    from scipy.cluster.vq import kmeans2

    centres, _ = kmeans2(samples.double().numpy(), count, minit="++", seed=seed)
    return torch.tensor(centres, dtype=samples.dtype)


FACTOR_START = 0.05  # of a low-rank covariance, in normalised action units
_SOFTPLUS_ONE = 0.5413  # softplus of it is 1
