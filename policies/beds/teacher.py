"""The exact teacher of a bed, with an observation and without."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vdd_ros.policies.mixture import GaussianMixture
from vdd_ros.policies.oracle import OracleTeacher

OBSERVATIONS = 33  # evenly in [-1, 1], closer than modes are wide: they stand for all


class BedTeacher(OracleTeacher):
    """mixture_of: as an OracleTeacher has it; modes have one covariance, whatever is observed."""

    def __init__(self, mixture_of: Callable[[Tensor], GaussianMixture]):
        super().__init__(mixture_of)
        middles = (2 * torch.arange(OBSERVATIONS, dtype=torch.float64) + 1) / OBSERVATIONS - 1
        log_weights, means, covariance = mixture_of(middles[:, None])
        weights = (log_weights.exp() / OBSERVATIONS).flatten()
        # one covariance for all modes, instead of as many copies to be decomposed
        self.blind = GaussianMixture(
            weights.log()[None], means.flatten(0, 1)[None], covariance[:1, :1]
        )

    def denoise_blind(self, x: Tensor, sigma: Tensor) -> Tensor:
        """(B, D), (B,) or (1,) -> (B, D): the mean of the clean chunk whatever was observed."""
        log_weights, means, covariance = self.blind
        exact = covariance.double() if x.dtype == torch.float64 else covariance.float()
        of_rows = exact[torch.zeros(len(x), dtype=torch.long)]
        noised = GaussianMixture(log_weights.to(x), means.to(x), of_rows).diffused(sigma)
        return x + sigma[:, None] ** 2 * noised.score(x[:, None])[:, 0]
