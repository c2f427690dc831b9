"""Test beds: observations and chunks whose distribution is known, and figures with known floors.

A teacher there is exact, so every error that is seen is the distillation's. What a policy samples
is brought to one observation before it is judged (`turned`): who ignores what is observed fails,
even where the pooled cloud of points looks right.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from vdd_ros.policies.beds.teacher import BedTeacher
from vdd_ros.policies.fidelity import energy_distance, sliced_w2
from vdd_ros.policies.mixture import GaussianMixture
from vdd_ros.policies.noise import NoiseConfig

JUDGED = 8192  # observations, one sample of each
DISTANCE_POINTS = 2000  # of them, for the energy distance, whose cost is their square
PROJECTIONS = 200
TRUTH_SEED = 12345  # of the samples that a policy's are compared with


class Bed(ABC):
    """One observation c ~ U[-1, 1] decides on a Gaussian mixture over D numbers."""

    name: ClassVar[str]
    dim: ClassVar[int]
    modes: ClassVar[int]
    per: ClassVar[int] = 1  # of how many numbers a distance is told
    noise: ClassVar[NoiseConfig] = NoiseConfig(sigma_min=0.01, sigma_max=10.0)

    def observe(self, count: int, generator: torch.Generator) -> Tensor:
        """(N, 1) observations."""
        return 2.0 * torch.rand(count, 1, generator=generator) - 1.0

    @abstractmethod
    def mixture(self, cond: Tensor) -> GaussianMixture:
        """(B, 1) -> B mixtures, the truth, in the precision of `cond`; all modes have one
        covariance."""

    @abstractmethod
    def turned(self, chunks: Tensor, cond: Tensor) -> Tensor:
        """(N, D), (N, 1) -> (N, D): chunks as they would be at observation 0."""

    @abstractmethod
    def shares(self, turned: Tensor, chunks: Tensor) -> dict[str, float]:
        """Of samples, turned and as they are, what needs no comparison: cov, modes that get a fifth
        of their mass or more; tv, total variation of the modes' weights; off, share beside all
        modes; stdr, spread within a mode over the true one; and what is this bed's alone."""

    @cached_property
    def teacher(self) -> BedTeacher:
        return BedTeacher(self.mixture)

    def figures(
        self, chunks: Tensor, cond: Tensor, ends: Tensor | None = None
    ) -> dict[str, float | None]:
        """What is found in samples (N, D), one for each of the observations (N, 1).

        sw2, ed: sliced 2-Wasserstein and unbiased energy distance to as many true samples, both of
        turned samples; prmse: root mean square distance to `ends` (N, D), where the exact ODE leads
        from the noise that each sample was made of, None without them.
        """
        turned = self.turned(chunks, cond)
        generator = torch.Generator().manual_seed(TRUTH_SEED)
        truth = self.turned(self.mixture(cond).sample(1, generator)[:, 0], cond)
        few = slice(DISTANCE_POINTS)
        distance = energy_distance(turned[None, few], truth[None, few]) * self.dim**0.5
        return {
            **self.shares(turned, chunks),
            "sw2": float(sliced_w2(turned[None], truth[None], projections=PROJECTIONS)),
            "ed": float(distance),
            "prmse": None if ends is None else self.distance(chunks - ends),
        }

    def distance(self, differences: Tensor) -> float:
        """Root mean square length of rows (N, D), over the square root of `per`."""
        return float((differences.square().sum(-1).mean() / self.per).sqrt())
