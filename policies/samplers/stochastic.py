"""Samplers that add noise as they go: their marginals are those of the ODE, their paths are not."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise

from torch import Tensor

from vdd_ros.policies.samplers.base import Denoise, Draw, Run, clean_at
from vdd_ros.policies.samplers.one_step import heun_step

MOST_RAISED = math.sqrt(2.0) - 1.0  # Karras et al. 2022, section 4


def ddim(eta: float) -> Run:
    """DDIM (Song et al. 2021, eq. 12 and 16); eta 0 is Euler's rule, eta 1 DDPM's ancestral one:

        x_b = D + sqrt(b^2 - s^2) epsilon + s xi,   s = eta (b / a) sqrt(a^2 - b^2)

    with the paper's standard deviation in units of x.
    """
    return partial(_ddim, eta)


def _ddim(
    eta: float, denoise: Denoise, x: Tensor, sigmas: Tensor, cond: Tensor, draw: Draw
) -> Tensor:
    for sigma, after in pairwise(sigmas.tolist()):
        clean = clean_at(denoise, x, sigma, cond)
        std = eta * (after / sigma) * math.sqrt(sigma**2 - after**2)
        x = clean + math.sqrt(after**2 - std**2) * (x - clean) / sigma
        if after > 0.0:
            x = x + std * draw(x)
    return x


def euler_maruyama(denoise: Denoise, x: Tensor, sigmas: Tensor, cond: Tensor, draw: Draw) -> Tensor:
    """Of the reverse equation of Song et al. 2021b (eq. 6, variance exploding):

    x_b = x + (a^2 - b^2) score + sqrt(a^2 - b^2) xi
    """
    for sigma, after in pairwise(sigmas.tolist()):
        clean = clean_at(denoise, x, sigma, cond)
        gone = sigma**2 - after**2
        x = x + (gone / sigma**2) * (clean - x)
        if after > 0.0:
            x = x + math.sqrt(gone) * draw(x)
    return x


def renoised(denoise: Denoise, x: Tensor, sigmas: Tensor, cond: Tensor, draw: Draw) -> Tensor:
    """All the way to a clean chunk, and back to the next level with new noise (Song et al. 2023,
    algorithm 1): of consistency functions, which are nothing but ends."""
    for sigma, after in pairwise(sigmas.tolist()):
        x = clean_at(denoise, x, sigma, cond)
        if after > 0.0:
            x = x + after * draw(x)
    return x


def churned_heun(churn: float, low: float, high: float, noise_scale: float) -> Run:
    """Karras et al. 2022, algorithm 2: the noise is raised before every step of Heun's.

    churn: S_churn, noise added over all steps together; low, high: S_tmin and S_tmax, the levels at
    which it is; noise_scale: S_noise.
    """
    return partial(_churned_heun, churn, low, high, noise_scale)


def _churned_heun(
    churn: float,
    low: float,
    high: float,
    noise_scale: float,
    denoise: Denoise,
    x: Tensor,
    sigmas: Tensor,
    cond: Tensor,
    draw: Draw,
) -> Tensor:
    raised = min(churn / (len(sigmas) - 1), MOST_RAISED)
    for sigma, after in pairwise(sigmas.tolist()):
        level = sigma
        if low <= sigma <= high:
            level = sigma * (1.0 + raised)
            x = x + math.sqrt(level**2 - sigma**2) * noise_scale * draw(x)
        x = heun_step(denoise, x, level, after, cond)
    return x
