"""Noise levels of DDPMs of others, by the name that diffusers has for how beta grows.

alpha_bar_k = prod_{i <= k} (1 - beta_i),    sigma_k^2 = (1 - alpha_bar_k) / alpha_bar_k
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from vdd_ros.policies.cosine import level_sigmas


def _linear(first: float, last: float, levels: int) -> Tensor:
    return torch.linspace(first, last, levels, dtype=torch.float64)


def _scaled_linear(first: float, last: float, levels: int) -> Tensor:
    return torch.linspace(first**0.5, last**0.5, levels, dtype=torch.float64) ** 2


def _sigmoid(first: float, last: float, levels: int) -> Tensor:
    rising = torch.linspace(-6.0, 6.0, levels, dtype=torch.float64).sigmoid()
    return first + (last - first) * rising


COSINE = "squaredcos_cap_v2"  # cosine.py's own, whose levels need no sum of rounded betas
BETAS: dict[str, Callable[[float, float, int], Tensor]] = {
    "linear": _linear,
    "scaled_linear": _scaled_linear,
    "sigmoid": _sigmoid,
}
BETA_SCHEDULES = (COSINE, *BETAS)


def sigmas_of(schedule: str, first: float, last: float, levels: int) -> Tensor:
    """(levels,) float64, rising; first, last: beta at both ends, which COSINE does not have."""
    if schedule == COSINE:
        return level_sigmas(levels)
    minus_log_alpha_bar = -(-BETAS[schedule](first, last, levels)).log1p().cumsum(0)
    return minus_log_alpha_bar.expm1().sqrt()


class LevelIndex(nn.Module):
    """(B,) sigma -> (B,) index of the level, a fraction where it lies between two, linear in
    log sigma; beyond both ends that of the end. Sums of clamps, which ONNX has."""

    def __init__(self, sigmas: Tensor):
        super().__init__()
        self.register_buffer("logs", sigmas.log().float(), persistent=False)

    @property
    def sigmas(self) -> Tensor:
        """(levels,) rising."""
        return self.logs.exp()

    def forward(self, sigma: Tensor) -> Tensor:
        below, above = self.logs[:-1], self.logs[1:]
        return ((sigma.log()[:, None] - below) / (above - below)).clamp(0.0, 1.0).sum(1)
