"""Samplers of the ODE that remember where they have been: one evaluation a step."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import numpy as np
from torch import Tensor

from vdd_ros.policies.samplers.base import Denoise, Draw, Run, clean_at, log_step, slope_at

# Adams-Bashforth on a grid of equal steps, newest slope first.
EQUAL_STEPS = (
    (1.0,),
    (3 / 2, -1 / 2),
    (23 / 12, -16 / 12, 5 / 12),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)
PNDM_WARM_UP = 3  # Runge-Kutta steps


def dpm_2m(denoise: Denoise, x: Tensor, sigmas: Tensor, cond: Tensor, _: Draw) -> Tensor:
    """DPM-Solver-2M: second order in epsilon over lambda; its first step is DDIM's."""
    before: Tensor | None = None
    values = sigmas.tolist()
    for index, (sigma, after) in enumerate(pairwise(values)):
        if after == 0.0:
            return clean_at(denoise, x, sigma, cond)
        slope = slope_at(denoise, x, sigma, cond)
        aim = slope
        if before is not None:
            ratio = log_step(values[index - 1], sigma) / log_step(sigma, after)
            aim = slope + (slope - before) / (2 * ratio)
        x = x + (after - sigma) * aim
        before = slope
    return x


def dpmpp_2m(denoise: Denoise, x: Tensor, sigmas: Tensor, cond: Tensor, _: Draw) -> Tensor:
    """DPM-Solver++(2M) (Lu et al. 2022b, algorithm 2); its first and its last step are DDIM's."""
    before: Tensor | None = None
    values = sigmas.tolist()
    for index, (sigma, after) in enumerate(pairwise(values)):
        clean = clean_at(denoise, x, sigma, cond)
        aim = clean
        if before is not None and after > 0.0:
            ratio = log_step(values[index - 1], sigma) / log_step(sigma, after)
            aim = clean + (clean - before) / (2 * ratio)
        x = (after / sigma) * x + (1 - after / sigma) * aim
        before = clean
    return x


def pndm(denoise: Denoise, x: Tensor, sigmas: Tensor, cond: Tensor, _: Draw) -> Tensor:
    """Pseudo numerical method of fourth order (Liu et al. 2022, algorithm 2).

    Its coefficients are those of equal steps, whatever the grid: see `deis` for those of any grid.
    """
    slopes: deque[Tensor] = deque(maxlen=len(EQUAL_STEPS))
    for index, (sigma, after) in enumerate(pairwise(sigmas.tolist())):
        if after == 0.0:
            return clean_at(denoise, x, sigma, cond)
        slopes.appendleft(slope_at(denoise, x, sigma, cond))
        if index < PNDM_WARM_UP:
            x = x + (after - sigma) * _runge_kutta(denoise, x, sigma, after, cond, slopes[0])
        else:
            x = x + (after - sigma) * _weighted(EQUAL_STEPS[-1], slopes)
    return x


def _runge_kutta(
    denoise: Denoise, x: Tensor, sigma: float, after: float, cond: Tensor, first: Tensor
) -> Tensor:
    """(B, D): the mean slope from sigma to after, of fourth order; first: the slope at x."""
    half, middle = (after - sigma) / 2, (after + sigma) / 2
    second = slope_at(denoise, x + half * first, middle, cond)
    third = slope_at(denoise, x + half * second, middle, cond)
    fourth = slope_at(denoise, x + 2 * half * third, after, cond)
    return (first + 2 * second + 2 * third + fourth) / 6


def ipndm(denoise: Denoise, x: Tensor, sigmas: Tensor, cond: Tensor, _: Draw) -> Tensor:
    """PNDM that warms up with lower orders of the same coefficients instead of Runge-Kutta steps
    (Zhang and Chen 2023, appendix): one evaluation for every step."""
    slopes: deque[Tensor] = deque(maxlen=len(EQUAL_STEPS))
    for sigma, after in pairwise(sigmas.tolist()):
        if after == 0.0:
            return clean_at(denoise, x, sigma, cond)
        slopes.appendleft(slope_at(denoise, x, sigma, cond))
        x = x + (after - sigma) * _weighted(EQUAL_STEPS[len(slopes) - 1], slopes)
    return x


def deis(order: int) -> Run:
    """DEIS-AB (Zhang and Chen 2023, eq. 15): the polynomial through the last `order` slopes,
    integrated exactly over the step on whatever grid there is."""
    return partial(_deis, order)


def _deis(order: int, denoise: Denoise, x: Tensor, sigmas: Tensor, cond: Tensor, _: Draw) -> Tensor:
    slopes: deque[Tensor] = deque(maxlen=order)
    nodes: deque[float] = deque(maxlen=order)
    for sigma, after in pairwise(sigmas.tolist()):
        if after == 0.0:
            return clean_at(denoise, x, sigma, cond)
        slopes.appendleft(slope_at(denoise, x, sigma, cond))
        nodes.appendleft(sigma)
        x = x + (after - sigma) * _weighted(adams_bashforth(nodes, after), slopes)
    return x


def adams_bashforth(nodes: Sequence[float], after: float) -> list[float]:
    """Weights of slopes at nodes, newest first, whose sum times the step from nodes[0] to after is
    the integral of the polynomial through them.

    With u = (sigma - nodes[0]) / step they solve  sum_j w_j u_j^k = 1 / (k + 1)  for k below order.
    """
    step = after - nodes[0]
    places = (np.array(nodes) - nodes[0]) / step
    powers = np.arange(len(nodes))
    return np.linalg.solve(places[None, :] ** powers[:, None], 1.0 / (powers + 1.0)).tolist()


def _weighted(weights: Sequence[float], slopes: Sequence[Tensor]) -> Tensor:
    first, *others = (weight * slope for weight, slope in zip(weights, slopes, strict=True))
    return sum(others, first)
