"""What all samplers share: the one form of the problem, and what a sampler says about itself.

x starts as sigmas[0] * N(0, I) and is brought to sigmas[-1] = 0, along

    dx / dsigma = (x - D(x; sigma)) / sigma        (probability-flow ODE, Karras et al. 2022, eq. 1)

or along a stochastic equation with the same marginals. DDPM's z is alpha x with
alpha = 1 / sqrt(1 + sigma^2), which turns every published update into one of x. The last step, to
sigma = 0, is x = D everywhere: no slope can be asked for at 0, and no noise is added there.

All rows have one noise level, given to `denoise` once: what a network makes of it is made once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Denoise = Callable[[Tensor, Tensor, Tensor], Tensor]
Draw = Callable[[Tensor], Tensor]
Run = Callable[[Denoise, Tensor, Tensor, Tensor, Draw], Tensor]


@dataclass(frozen=True)
class Sampler:
    """run(denoise, x (B, D), sigmas (n + 1,), cond (B, C), draw) -> (B, D) at sigmas[-1].

    nfe: network evaluations of n steps, None where they depend on what is sampled; draw: gives
    N(0, I) in the shape of its argument, used by stochastic samplers alone; paper: who says so.
    """

    run: Run
    nfe: Callable[[int], int] | None
    paper: str
    is_stochastic: bool = False

    def __call__(
        self, denoise: Denoise, x: Tensor, sigmas: Tensor, cond: Tensor, draw: Draw | None = None
    ) -> Tensor:
        if draw is None and self.is_stochastic:
            raise ValueError("a stochastic sampler needs `draw`, which gives it noise")
        return self.run(denoise, x, sigmas, cond, draw or no_noise)


def drawing(generator: torch.Generator) -> Draw:
    """Noise from a generator."""

    def draw(like: Tensor) -> Tensor:
        return torch.randn(like.shape, dtype=like.dtype, generator=generator)

    return draw


def no_noise(like: Tensor) -> Tensor:
    """Zeros, where a sampler draws nothing."""
    return torch.zeros_like(like)


def clean_at(denoise: Denoise, x: Tensor, sigma: float, cond: Tensor) -> Tensor:
    """(B, D): D(x; sigma)."""
    return denoise(x, x.new_full((1,), sigma), cond)


def slope_at(denoise: Denoise, x: Tensor, sigma: float, cond: Tensor) -> Tensor:
    """(B, D): dx / dsigma, which is the noise that the network sees in x, epsilon."""
    return (x - clean_at(denoise, x, sigma, cond)) / sigma


def log_step(high: float, low: float) -> float:
    """From one noise level down to another in lambda = -ln sigma."""
    return math.log(high / low)
