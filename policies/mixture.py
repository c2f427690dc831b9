"""GaussianMixture: a batch of mixtures, in log space, of any kind of covariance.

    p(a) = sum_k g_k N(a; mu_k, Sigma_k)

Under the forward process a_sigma = alpha a + sigma xi a mixture stays a mixture, so its diffused
density and score are exact in closed form:

    p_sigma(a) = sum_k g_k N(a; alpha mu_k, alpha^2 Sigma_k + sigma^2 I)

Everything is computed in the tensors' own precision, also where a training runs in a lower one.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from vdd_ros.policies.covariance import Covariance, Full

LOG_2PI = math.log(2.0 * math.pi)


class GaussianMixture(NamedTuple):
    """B mixtures of K components in D dimensions.

    log_weights: (B, K), normalised; means: (B, K, D); covariance: of the components, of one kind.
    """

    log_weights: Tensor
    means: Tensor
    covariance: Covariance

    @classmethod
    @torch.autocast("cpu", enabled=False)
    def of_covariance(
        cls, log_weights: Tensor, means: Tensor, covariance: Tensor
    ) -> GaussianMixture:
        """covariance: (B, K, D, D). Raises torch.linalg.LinAlgError if one is not positive."""
        return cls(log_weights, means, Full.of(covariance))

    def detach(self) -> GaussianMixture:
        return GaussianMixture(*(part.detach() for part in self))

    @torch.autocast("cpu", enabled=False)
    def diffused(self, sigma: Tensor, alpha: Tensor | float = 1.0) -> GaussianMixture:
        """The mixture's marginal at noise level sigma (B,) and signal scale alpha (B,) or 1."""
        alpha = torch.as_tensor(alpha, dtype=self.means.dtype).expand(len(sigma))
        return GaussianMixture(
            self.log_weights,
            alpha[:, None, None] * self.means,
            self.covariance.diffused(sigma, alpha),
        )

    @torch.autocast("cpu", enabled=False)
    def component_log_prob(self, a: Tensor) -> Tensor:
        """(B, N, D) -> (B, N, K): log N(a; mu_k, Sigma_k)."""
        return self._log_prob_of(self._whitened(a))

    def log_prob(self, a: Tensor) -> Tensor:
        """(B, N, D) -> (B, N)."""
        return torch.logsumexp(self.component_log_prob(a) + self.log_weights[:, None], dim=-1)

    def log_responsibilities(self, a: Tensor) -> Tensor:
        """(B, N, D) -> (B, N, K): log p(k | a)."""
        return torch.log_softmax(self.component_log_prob(a) + self.log_weights[:, None], dim=-1)

    @torch.autocast("cpu", enabled=False)
    def score(self, a: Tensor) -> Tensor:
        """(B, N, D) -> (B, N, D): gradient of log_prob, sum_k p(k|a) Sigma_k^-1 (mu_k - a)."""
        whitened = self._whitened(a)
        joint = self._log_prob_of(whitened) + self.log_weights[:, None]
        return -self.covariance.pull(torch.softmax(joint, dim=-1)[..., None] * whitened)

    def _whitened(self, a: Tensor) -> Tensor:
        """(B, N, D) -> (B, N, K, E): a - mu_k, as long as its Mahalanobis distance."""
        return self.covariance.whiten(a[:, :, None] - self.means[:, None])

    def _log_prob_of(self, whitened: Tensor) -> Tensor:
        """(B, N, K, E) -> (B, N, K)."""
        half_log_det = self.covariance.half_log_det()[:, None]
        return -half_log_det - 0.5 * (whitened.square().sum(-1) + self.means.shape[-1] * LOG_2PI)

    @torch.autocast("cpu", enabled=False)
    def sample_components(self, count: int, generator: torch.Generator) -> Tensor:
        """(B, K, count, D): `count` draws from each component, reparameterised."""
        shape = (*self.log_weights.shape, self.covariance.noise_dim, count)
        noise = torch.randn(shape, generator=generator, dtype=self.means.dtype)
        return self.means[:, :, None] + self.covariance.spread(noise).mT

    @torch.autocast("cpu", enabled=False)
    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """(B, count, D): draws from the mixture."""
        expert = self.draw_expert(count, generator)
        row = torch.arange(len(expert))[:, None]
        shape = (*expert.shape, self.covariance.noise_dim)
        noise = torch.randn(shape, generator=generator, dtype=self.means.dtype)
        spread = self.covariance[row, expert].spread(noise[..., None])[..., 0]
        return self.means[row, expert] + spread

    def sample_means(self, count: int, generator: torch.Generator) -> Tensor:
        """(B, count, D): means of experts drawn by weight, what a policy executes."""
        expert = self.draw_expert(count, generator)
        return self.means[torch.arange(len(expert))[:, None], expert]

    def draw_expert(self, count: int, generator: torch.Generator) -> Tensor:
        """(B, count) expert indices drawn by weight."""
        return torch.multinomial(
            self.log_weights.exp(), count, replacement=True, generator=generator
        )

    @torch.autocast("cpu", enabled=False)
    def entropy_of_components(self) -> Tensor:
        """(B, K): differential entropy of each component [nats]."""
        return 0.5 * self.means.shape[-1] * (1.0 + LOG_2PI) + self.covariance.half_log_det()
