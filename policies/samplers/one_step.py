"""Samplers of the ODE that look at nothing but the point where they are.

In x and sigma the exponential integrators of DPM-Solver, written in lambda = -ln sigma, become
formulas without exponentials: sigma_b (e^h - 1) = a - b for a step from a to b.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor

from vdd_ros.policies.samplers.base import Denoise, Draw, clean_at, slope_at


def euler(denoise: Denoise, x: Tensor, sigmas: Tensor, cond: Tensor, _: Draw) -> Tensor:
    """First order; equal to DDIM with eta = 0 (Song et al. 2021)."""
    for sigma, after in pairwise(sigmas.tolist()):
        clean = clean_at(denoise, x, sigma, cond)
        x = clean + (after / sigma) * (x - clean)
    return x


def heun(denoise: Denoise, x: Tensor, sigmas: Tensor, cond: Tensor, _: Draw) -> Tensor:
    """Second order, the trapezoidal rule (Karras et al. 2022, algorithm 1)."""
    for sigma, after in pairwise(sigmas.tolist()):
        x = heun_step(denoise, x, sigma, after, cond)
    return x


def heun_step(denoise: Denoise, x: Tensor, sigma: float, after: float, cond: Tensor) -> Tensor:
    """One step of it, to 0 by Euler's rule."""
    slope = slope_at(denoise, x, sigma, cond)
    ahead = x + (after - sigma) * slope
    if after > 0.0:
        slope = (slope + slope_at(denoise, ahead, after, cond)) / 2
    return x + (after - sigma) * slope


def dpm_2s(denoise: Denoise, x: Tensor, sigmas: Tensor, cond: Tensor, _: Draw) -> Tensor:
    """DPM-Solver-2, single step (Lu et al. 2022a, algorithm 1): the midpoint rule, the middle being
    that of lambda, sqrt(a b)."""
    for sigma, after in pairwise(sigmas.tolist()):
        slope, middle = slope_at(denoise, x, sigma, cond), math.sqrt(sigma * after)
        if after > 0.0:
            slope = slope_at(denoise, x + (middle - sigma) * slope, middle, cond)
        x = x + (after - sigma) * slope
    return x


def dpmpp_2s(denoise: Denoise, x: Tensor, sigmas: Tensor, cond: Tensor, _: Draw) -> Tensor:
    """DPM-Solver++(2S) with r = 1/2 (Lu et al. 2022b, algorithm 1): the same middle, but it is D
    that is taken to be constant over the step, which stays bounded under guidance."""
    for sigma, after in pairwise(sigmas.tolist()):
        clean, middle = clean_at(denoise, x, sigma, cond), math.sqrt(sigma * after)
        if after > 0.0:
            there = clean + (middle / sigma) * (x - clean)
            clean = clean_at(denoise, there, middle, cond)
        x = clean + (after / sigma) * (x - clean)
    return x


def genie(denoise: Denoise, x: Tensor, sigmas: Tensor, cond: Tensor, _: Draw) -> Tensor:
    """Truncated Taylor method of second order (Dockhorn et al. 2022, eq. 9):

        x_b = x + h epsilon + h^2 / 2 d epsilon / d sigma,   h = b - a

    with the derivative along the way, one exact product with the Jacobian, which is counted as one
    evaluation.
    """
    for sigma, after in pairwise(sigmas.tolist()):
        if after == 0.0:
            return clean_at(denoise, x, sigma, cond)
        slope, bend = slope_and_bend(denoise, x, sigma, cond)
        step = after - sigma
        x = x + step * slope + step**2 / 2 * bend
    return x


def slope_and_bend(
    denoise: Denoise, x: Tensor, sigma: float, cond: Tensor
) -> tuple[Tensor, Tensor]:
    """epsilon and its derivative with respect to sigma along the ODE: (d epsilon / d x) epsilon +
    d epsilon / d sigma."""

    def slope_of(x: Tensor, sigma: Tensor) -> Tensor:
        return (x - denoise(x, sigma, cond)) / sigma

    at = x.new_full((1,), sigma)
    direction = slope_at(denoise, x, sigma, cond)
    return torch.func.jvp(slope_of, (x, at), (direction, torch.ones_like(at)))
