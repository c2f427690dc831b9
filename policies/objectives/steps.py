"""Steps of a teacher along its ODE, of every row between noise levels of its own."""

from __future__ import annotations

from torch import Tensor

from vdd_ros.policies.denoiser import ScoreModel


def ddim_step(teacher: ScoreModel, x: Tensor, high: Tensor, low: Tensor, cond: Tensor) -> Tensor:
    """(B, D): from levels high (B,) to low (B,)."""
    clean = teacher.denoise(x, high, cond)
    return clean + (low / high)[:, None] * (x - clean)


def heun_step(teacher: ScoreModel, x: Tensor, high: Tensor, low: Tensor, cond: Tensor) -> Tensor:
    """(B, D): from levels high (B,) to low (B,), which are above 0; two calls."""
    length = (low - high)[:, None]
    slope = (x - teacher.denoise(x, high, cond)) / high[:, None]
    ahead = x + length * slope
    there = (ahead - teacher.denoise(ahead, low, cond)) / low[:, None]
    return x + length * (slope + there) / 2


def clean_target(x: Tensor, high: Tensor, there: Tensor, low: Tensor) -> Tensor:
    """(B, D): what a clean chunk has to be for a step of DDIM from x, at high (B,), to lead to
    `there`, at low (B,)."""
    ratio = (low / high)[:, None]
    return (there - ratio * x) / (1.0 - ratio)


def snr_weight(sigma: Tensor) -> Tensor:
    """(B,): the signal-to-noise ratio, and at least 1 (Salimans and Ho 2022)."""
    return (sigma**-2).clamp_min(1.0)
