"""The stochastic equation in steps as long as the error allows (Jolicoeur-Martineau et al. 2021).

The paper draws new noise for a step that it tries again shorter. With as few dimensions as a chunk
has, that is a bias which can be seen: two modes of weights .3 and .7 get .48 and .52, the farther
the smaller the error allowed. Here the noise is remembered (brownian.py).
"""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor

from vdd_ros.policies.samplers.base import Denoise, Draw, Run
from vdd_ros.policies.samplers.brownian import BrownianPath

FIRST_STEP = 0.01  # of the way
SAFETY = 0.9  # theta: a step is that much shorter than the error would allow
EXPONENT = 0.9  # r
LEAST_ERROR = 0.1  # a step that happened to fit well is followed by one eight times as long at most


def adaptive_sde(relative: float, absolute: float) -> Run:
    """Algorithm 1: Euler-Maruyama against the improved Euler rule with the same noise, each row in
    steps of its own; where both are near enough to each other, their mean is the next point.

    relative, absolute: how near, of the larger of two values and in units of a chunk. The noise is
    exponential in time, sigma(t) = low (high / low)^t, as in the paper. Only the ends of `sigmas`
    count. How many evaluations it takes is not known before, which a control period cannot wait
    for: it is for comparisons.
    """
    return partial(_adaptive_sde, relative, absolute)


def _adaptive_sde(
    relative: float,
    absolute: float,
    denoise: Denoise,
    x: Tensor,
    sigmas: Tensor,
    cond: Tensor,
    draw: Draw,
) -> Tensor:
    nodes = sigmas.tolist()
    low = nodes[-1] if nodes[-1] > 0.0 else nodes[-2]
    rate = math.log(nodes[0] / low)  # d ln sigma / dt

    def level(time: Tensor) -> Tensor:
        return low * torch.exp(rate * time)

    def drift(x: Tensor, time: Tensor, cond: Tensor) -> Tensor:
        """g^2 score, with g^2 = d sigma^2 / dt = 2 rate sigma^2."""
        return 2.0 * rate * (denoise(x, level(time), cond) - x)

    path = BrownianPath(x, lambda here, there: (level(here) ** 2 - level(there) ** 2).clamp_min(0))
    time, before = x.new_ones(len(x)), x
    step = torch.full_like(time, FIRST_STEP)
    while (going := time > 0.0).any():
        rows = going.nonzero()[:, 0]
        at, here, given = x[rows], time[rows], cond[rows]
        there, noise = path.take(rows, here, (here - step[rows]).clamp_min(0.0), draw)
        h = (here - there)[:, None]
        first = at + h * drift(at, here, given) + noise
        second = at + h * drift(first, there, given) + noise
        mean = (first + second) / 2
        near = (relative * first.abs().maximum(before[rows].abs())).clamp_min(absolute)
        error = ((first - mean) / near).square().mean(1).sqrt().clamp_min(LEAST_ERROR)
        good = error <= 1.0
        x = x.index_copy(0, rows[good], mean[good])
        before = before.index_copy(0, rows[good], first[good])
        time = time.index_copy(0, rows[good], there[good])
        path.put_back(rows[~good], there[~good], noise[~good])
        step = step.index_copy(0, rows, SAFETY * h[:, 0] * error**-EXPONENT)
    if nodes[-1] > 0.0:
        return x
    return denoise(x, x.new_full((1,), low), cond)
