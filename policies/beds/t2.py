"""T2: two ways around an obstacle, as chunks of 16 points in a plane.

The cheapest bed that tells a policy that blends two plans from one that picks a plan: a chunk is
off where it leaves the smooth motions of a way, or where it is not as smooth as they are.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from vdd_ros.policies.beds.bed import Bed
from vdd_ros.policies.beds.weights import weight_figures
from vdd_ros.policies.covariance import LowRank
from vdd_ros.policies.mixture import GaussianMixture

HORIZON = 16
WEIGHTS = (0.7, 0.3)  # left, right
SIDES = (1.0, -1.0)
WAVES = 3  # cosines per number of a step, the smooth motions of a way
ROUGH = 0.02  # std in every direction
SMOOTH = 0.06 * math.sqrt(HORIZON)  # std along a smooth motion
MIDDLE = slice(4, 12)  # the steps beside the obstacle
NEAR = 0.15  # to its centre line: a collision
RARE = 0.999  # quantile of a true chunk's squared distance, beyond which a chunk is off


class T2(Bed):
    """mu(h) = (2 h / 15 - 1, +-(0.6 + 0.2 c) sin(pi h / 15)), h = 0 .. 15, and around it smooth
    motions of three cosines per number, beside a little roughness."""

    name: ClassVar[str] = "t2"
    dim: ClassVar[int] = 2 * HORIZON
    modes: ClassVar[int] = len(WEIGHTS)
    per: ClassVar[int] = 2 * HORIZON

    def mixture(self, cond: Tensor) -> GaussianMixture:
        means = self._ways(cond)
        scale = torch.full_like(means, ROUGH)
        factor = SMOOTH * smooth_motions().to(cond).expand(*means.shape, -1)
        log_weights = cond.new_tensor(WEIGHTS).log().expand(len(cond), -1)
        return GaussianMixture(log_weights, means, LowRank(scale, factor))

    def _ways(self, cond: Tensor) -> Tensor:
        """(B, 1) -> (B, 2, 32): the mean of each way, step by step."""
        steps = torch.linspace(0.0, 1.0, HORIZON).to(cond)
        lateral = cond.new_tensor(SIDES)[:, None] * (0.6 + 0.2 * cond[:, :, None]) * _hump(steps)
        forward = (2.0 * steps - 1.0).expand_as(lateral)
        return torch.stack([forward, lateral], dim=-1).flatten(2)

    def turned(self, chunks: Tensor, cond: Tensor) -> Tensor:
        """The part of a detour that an observation asks for, taken off on the side it was made."""
        steps = torch.linspace(0.0, 1.0, HORIZON).to(chunks)
        points = chunks.view(len(chunks), HORIZON, 2)
        side = torch.where(points[:, MIDDLE, 1].mean(1) >= 0, 1.0, -1.0).to(chunks)
        asked = (side * 0.2 * cond[:, 0])[:, None] * _hump(steps)
        return torch.stack([points[..., 0], points[..., 1] - asked], dim=-1).flatten(1)

    def shares(self, turned: Tensor, chunks: Tensor) -> dict[str, float]:
        ways = self._ways(turned.new_zeros(1, 1))[0]
        nearest = torch.cdist(turned, ways).argmin(1)
        centred = turned - ways[nearest]
        basis = smooth_motions().to(turned)
        along = centred @ basis
        smooth = along.square().sum(1) / (SMOOTH**2 + ROUGH**2)
        rough = (centred - along @ basis.mT).square().sum(1) / ROUGH**2
        far = smooth > _quantile(RARE, basis.shape[1])
        jerky = rough > _quantile(RARE, self.dim - basis.shape[1])
        off = far | jerky
        spread = (smooth[~far].mean() / basis.shape[1]).sqrt()
        lateral = chunks.view(len(chunks), HORIZON, 2)[:, MIDDLE, 1]
        return {
            **weight_figures(nearest, ~off, WEIGHTS),
            "off": _share(off),
            "stdr": float(spread) if (~far).any() else 0.0,
            "off_smooth": _share(far),
            "off_rough": _share(jerky),
            "chi2": float((smooth + rough).median()) / _quantile(0.5, self.dim),
            "collide": _share((lateral.abs() < NEAR).any(1)),
            "switch": _share((lateral > 0).any(1) & (lateral < 0).any(1)),
        }


def smooth_motions() -> Tensor:
    """(32, 6), orthonormal: the first cosines (DCT-II) over the steps, for x and y of a step."""
    at = (torch.arange(HORIZON, dtype=torch.float64) + 0.5) / HORIZON
    waves = torch.stack([(math.pi * at * k).cos() for k in range(WAVES)], dim=1)
    waves = waves / waves.norm(dim=0)
    return torch.kron(waves, torch.eye(2, dtype=torch.float64))


def _hump(steps: Tensor) -> Tensor:
    return (math.pi * steps).sin()


def _share(which: Tensor) -> float:
    return float(which.float().mean())


def _quantile(share: float, freedom: int) -> float:
    """Of a chi-square distribution."""
    from scipy.stats import chi2

    return float(chi2.ppf(share, freedom))
