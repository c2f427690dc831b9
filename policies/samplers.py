"""Samplers: f(denoise, x, sigmas, cond) -> clean chunk. x starts as sigma_max * N(0, I).

dx/dsigma = (x - D(x; sigma)) / sigma is integrated from sigmas[0] to sigmas[-1] = 0. All rows have
one noise level, given to `denoise` once: what a network makes of it is made once.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

Denoise = Callable[[Tensor, Tensor, Tensor], Tensor]


def euler(denoise: Denoise, x: Tensor, sigmas: Tensor, cond: Tensor) -> Tensor:
    """First order; equal to DDIM with eta = 0 (Song et al. 2021). NFE = len(sigmas) - 1."""
    for sigma, after in pairwise(sigmas.tolist()):
        clean = denoise(x, x.new_full((1,), sigma), cond)
        x = clean + (after / sigma) * (x - clean)
    return x


def heun(denoise: Denoise, x: Tensor, sigmas: Tensor, cond: Tensor) -> Tensor:
    """Second order (Karras et al. 2022, algorithm 1); last step Euler. NFE = 2 steps - 1."""
    for sigma, after in pairwise(sigmas.tolist()):
        slope = (x - denoise(x, x.new_full((1,), sigma), cond)) / sigma
        ahead = x + (after - sigma) * slope
        if after > 0.0:
            there = denoise(ahead, x.new_full((1,), after), cond)
            slope = (slope + (ahead - there) / after) / 2
        x = x + (after - sigma) * slope
    return x


def dpmpp_2m(denoise: Denoise, x: Tensor, sigmas: Tensor, cond: Tensor) -> Tensor:
    """DPM-Solver++(2M) (Lu et al. 2022, algorithm 2); first and last step first order."""
    before: Tensor | None = None
    values = sigmas.tolist()
    for index, (sigma, after) in enumerate(pairwise(values)):
        clean = denoise(x, x.new_full((1,), sigma), cond)
        aim = clean
        if before is not None and after > 0.0:
            ratio = _log_ratio(values[index - 1], sigma) / _log_ratio(sigma, after)
            aim = clean + (clean - before) / (2 * ratio)
        x = (after / sigma) * x + (1 - after / sigma) * aim
        before = clean
    return x


def _log_ratio(high: float, low: float) -> float:
    """lambda step between two noise levels, lambda = -ln sigma."""
    return float(torch.log(torch.tensor(high / low, dtype=torch.float64)))


SAMPLERS = {"euler": euler, "heun": heun, "dpmpp_2m": dpmpp_2m}
NFE = {"euler": lambda n: n, "heun": lambda n: 2 * n - 1, "dpmpp_2m": lambda n: n}
