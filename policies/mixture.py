"""GaussianMixture: a batch of mixtures with full covariances, in log space.

    p(a) = sum_k g_k N(a; mu_k, Sigma_k),    Sigma_k^-1 = W_k^T W_k,    W_k lower triangular

W whitens: W (a - mu) is standard normal, so a density needs one product and no decomposition.
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

LOG_2PI = math.log(2.0 * math.pi)


class GaussianMixture(NamedTuple):
    """B mixtures of K components in D dimensions.

    log_weights: (B, K), normalised; means: (B, K, D); whitener: (B, K, D, D), the W above, lower
    triangular with a positive diagonal.
    """

    log_weights: Tensor
    means: Tensor
    whitener: Tensor

    @classmethod
    @torch.autocast("cpu", enabled=False)
    def of_covariance(
        cls, log_weights: Tensor, means: Tensor, covariance: Tensor
    ) -> GaussianMixture:
        """covariance: (B, K, D, D). Raises torch.linalg.LinAlgError if one is not positive."""
        return cls(log_weights, means, _inverse(torch.linalg.cholesky(covariance)))

    def detach(self) -> GaussianMixture:
        return GaussianMixture(*(part.detach() for part in self))

    @torch.autocast("cpu", enabled=False)
    def cholesky(self) -> Tensor:
        """(B, K, D, D): W^-1, the lower triangular L with Sigma = L L^T."""
        return _inverse(self.whitener)

    @torch.autocast("cpu", enabled=False)
    def diffused(self, sigma: Tensor, alpha: Tensor | float = 1.0) -> GaussianMixture:
        """The mixture's marginal at noise level sigma (B,) and signal scale alpha (B,) or 1."""
        alpha = torch.as_tensor(alpha, dtype=self.means.dtype).expand(len(sigma))[:, None, None]
        scaled = alpha[..., None] * self.cholesky()
        noise = torch.diag_embed((sigma**2)[:, None, None].expand_as(self.means))
        return GaussianMixture.of_covariance(
            self.log_weights, alpha * self.means, scaled @ scaled.mT + noise
        )

    @torch.autocast("cpu", enabled=False)
    def component_log_prob(self, a: Tensor) -> Tensor:
        """(B, N, D) -> (B, N, K): log N(a; mu_k, Sigma_k)."""
        squared = self._whitened(a).square().sum(-1)
        log_det = self.whitener.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        return log_det[:, None] - 0.5 * (squared + a.shape[-1] * LOG_2PI)

    def log_prob(self, a: Tensor) -> Tensor:
        """(B, N, D) -> (B, N)."""
        return torch.logsumexp(self.component_log_prob(a) + self.log_weights[:, None], dim=-1)

    def log_responsibilities(self, a: Tensor) -> Tensor:
        """(B, N, D) -> (B, N, K): log p(k | a)."""
        return torch.log_softmax(self.component_log_prob(a) + self.log_weights[:, None], dim=-1)

    @torch.autocast("cpu", enabled=False)
    def score(self, a: Tensor) -> Tensor:
        """(B, N, D) -> (B, N, D): gradient of log_prob, sum_k p(k|a) W_k^T W_k (mu_k - a)."""
        responsibility = self.log_responsibilities(a).exp()
        pulled = torch.einsum("bnk,bnki->bnki", responsibility, self._whitened(a))
        return -torch.einsum("bkij,bnki->bnj", self.whitener, pulled)

    def _whitened(self, a: Tensor) -> Tensor:
        """(B, N, D) -> (B, N, K, D): W_k (a - mu_k)."""
        return torch.einsum("bkij,bnkj->bnki", self.whitener, a[:, :, None] - self.means[:, None])

    @torch.autocast("cpu", enabled=False)
    def sample_components(self, count: int, generator: torch.Generator) -> Tensor:
        """(B, K, count, D): `count` reparameterised draws from each component."""
        shape = (*self.means.shape, count)
        noise = torch.randn(shape, generator=generator, dtype=self.means.dtype)
        spread = torch.linalg.solve_triangular(self.whitener, noise, upper=False)
        return self.means[:, :, None] + spread.mT

    @torch.autocast("cpu", enabled=False)
    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """(B, count, D): draws from the mixture."""
        expert = self.draw_expert(count, generator)
        row = torch.arange(len(expert))[:, None]
        noise = torch.randn(
            *expert.shape, self.means.shape[-1], generator=generator, dtype=self.means.dtype
        )
        return self.means[row, expert] + torch.einsum(
            "bnij,bnj->bni", self.cholesky()[row, expert], noise
        )

    def sample_means(self, count: int, generator: torch.Generator) -> Tensor:
        """(B, count, D): means of experts drawn by weight, what a policy executes."""
        expert = self.draw_expert(count, generator)
        return self.means[torch.arange(len(expert))[:, None], expert]

    def draw_expert(self, count: int, generator: torch.Generator) -> Tensor:
        """(B, count) expert indices drawn by weight."""
        return torch.multinomial(
            self.log_weights.exp(), count, replacement=True, generator=generator
        )

    def entropy_of_components(self) -> Tensor:
        """(B, K): differential entropy of each component [nats]."""
        log_det = self.whitener.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        return 0.5 * self.means.shape[-1] * (1.0 + LOG_2PI) - log_det


def _inverse(lower: Tensor) -> Tensor:
    """(B, K, D, D): the inverse of lower triangular matrices, lower triangular itself."""
    eye = torch.eye(lower.shape[-1], dtype=lower.dtype).expand_as(lower)
    return torch.linalg.solve_triangular(lower, eye, upper=False)
