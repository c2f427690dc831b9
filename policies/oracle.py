"""OracleTeacher: a Gaussian mixture as a teacher, whose denoiser is known in closed form.

Distilling from it shows what an objective does when the teacher is perfect and every figure is
known.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from vdd_ros.policies.mixture import GaussianMixture


class OracleTeacher:
    """mixture_of: (B, C) observations -> B mixtures in D dimensions."""

    def __init__(self, mixture_of: Callable[[Tensor], GaussianMixture]):
        self.mixture_of = mixture_of

    def denoise(self, x: Tensor, sigma: Tensor, cond: Tensor) -> Tensor:
        """Tweedie's formula: D(x; sigma) = x + sigma^2 grad log p_sigma(x)."""
        score = self.mixture_of(cond).diffused(sigma).score(x[:, None])[:, 0]
        return x + sigma[:, None] ** 2 * score
