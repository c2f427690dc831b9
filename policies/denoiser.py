"""Denoiser: EDM preconditioning around any net (Karras et al. 2022, Table 1 and eq. 7).

D(x; sigma) = c_skip x + c_out F(c_in x, c_noise),   score(x; sigma) = (D - x) / sigma^2
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from vdd_ros.policies.nets import DenoiserNet


class ScoreModel(Protocol):
    """What a distillation asks of a teacher; a learned denoiser or an exact mixture."""

    def denoise(self, x: Tensor, sigma: Tensor, cond: Tensor) -> Tensor:
        """(B, D), (B,), (B, C) -> (B, D): the mean of the clean chunk given the noised one."""
        ...


def score(model: ScoreModel, x: Tensor, sigma: Tensor, cond: Tensor) -> Tensor:
    """(B, D): gradient of the log density of chunks noised with sigma (Karras eq. 3)."""
    return (model.denoise(x, sigma, cond) - x) / sigma[:, None] ** 2


class Denoiser(nn.Module):
    """F with preconditioning; sigma_data is the standard deviation of a normalised action."""

    def __init__(self, net: DenoiserNet, sigma_data: float = 1.0):
        super().__init__()
        self.net = net
        self.sigma_data = sigma_data

    def denoise(self, x: Tensor, sigma: Tensor, cond: Tensor) -> Tensor:
        """(B, D), (B,), (B, C) -> (B, D)."""
        sigma_ = sigma[:, None]
        variance = sigma_**2 + self.sigma_data**2
        c_skip = self.sigma_data**2 / variance
        c_out = sigma_ * self.sigma_data / variance.sqrt()
        c_in = 1.0 / variance.sqrt()
        c_noise = sigma.log() / 4.0
        return c_skip * x + c_out * self.net(c_in * x, c_noise, cond)

    forward = denoise
