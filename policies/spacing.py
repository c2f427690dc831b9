"""Spacing: which noise levels a sampler visits, from the largest down to the last, then 0.

`leading`, `trailing` and `linspace` are those of DDPM libraries, in the time of the cosine schedule
with its 1000 levels (Lin et al. 2024, table 2). `leading` begins below the noisiest level: with few
steps sampling starts from noise that is not what the network saw there, a classic fault, kept to be
compared.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vdd_ros.policies.cosine import sigma_at, time_at
from vdd_ros.policies.noise import NoiseConfig


def rho(steps: int, high: float, low: float, power: float) -> Tensor:
    """Equal steps of sigma^(1/rho) (Karras et al. 2022, eq. 5)."""
    ends = high ** (1 / power), low ** (1 / power)
    return torch.linspace(*ends, steps, dtype=torch.float64) ** power


def log_uniform(steps: int, high: float, low: float) -> Tensor:
    """Equal steps of ln sigma, and of the log signal-to-noise ratio."""
    ends = torch.tensor([high, low], dtype=torch.float64).log().tolist()
    return torch.linspace(*ends, steps, dtype=torch.float64).exp()


def uniform(steps: int, high: float, low: float) -> Tensor:
    """Equal steps of sigma: nearly all of them where nothing of a chunk shows through."""
    return torch.linspace(high, low, steps, dtype=torch.float64)


def linspace(steps: int, high: float, low: float) -> Tensor:
    """Equal steps of time, both ends included."""
    start, end = _times(high, low)
    return sigma_at(torch.linspace(start, end, steps, dtype=torch.float64))


def trailing(steps: int, high: float, low: float) -> Tensor:
    """Equal steps of time, the noisiest level included."""
    start, end = _times(high, low)
    return sigma_at(start - (start - end) / steps * torch.arange(steps, dtype=torch.float64))


def leading(steps: int, high: float, low: float) -> Tensor:
    """Equal steps of time, the least noisy level included, the noisiest not."""
    start, end = _times(high, low)
    return sigma_at(end + (start - end) / steps * torch.arange(steps - 1, -1, -1).double())


def _times(high: float, low: float) -> tuple[float, float]:
    start, end = time_at(torch.tensor([high, low], dtype=torch.float64)).tolist()
    return start, end


OTHERS: dict[str, Callable[[int, float, float], Tensor]] = {
    "log_uniform": log_uniform,
    "uniform": uniform,
    "linspace": linspace,
    "trailing": trailing,
    "leading": leading,
}
SPACINGS = ("rho", *OTHERS)


def sigma_grid(
    noise: NoiseConfig, steps: int, sigma_last: float = 0.0, spacing: str = "rho"
) -> Tensor:
    """(steps + 1,) falling, float64: from sigma_max down to sigma_last, at least sigma_min, then 0.

    One step starts at the top, except of `leading`.
    """
    high, low = noise.sigma_max, max(sigma_last, noise.sigma_min)
    if spacing == "rho":
        sigmas = rho(steps, high, low, noise.rho)
    else:
        sigmas = OTHERS[spacing](steps, high, low)
    return torch.cat([sigmas, torch.zeros(1, dtype=torch.float64)])
