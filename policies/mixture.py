"""GaussianMixture: a batch of mixtures with low-rank-plus-diagonal covariances, in log space.

    p(a) = sum_k g_k N(a; mu_k, Sigma_k),    Sigma_k = diag(d_k^2) + U_k U_k^T

Under the forward process a_sigma = alpha a + sigma xi a mixture stays a mixture, so its diffused
density and score are exact in closed form:

    p_sigma(a) = sum_k g_k N(a; alpha mu_k, alpha^2 Sigma_k + sigma^2 I)

Rank R enters through the R x R matrix C = I + U^T diag(d^-2) U alone (Woodbury identity and matrix
determinant lemma), so nothing of size D x D is formed. R = 0 is a diagonal mixture.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

LOG_2PI = math.log(2.0 * math.pi)


class GaussianMixture(NamedTuple):
    """B mixtures of K components in D dimensions.

    log_weights: (B, K), normalised; means: (B, K, D); scales: (B, K, D), the d above, positive;
    factors: (B, K, D, R), the U above.
    """

    log_weights: Tensor
    means: Tensor
    scales: Tensor
    factors: Tensor

    def detach(self) -> GaussianMixture:
        return GaussianMixture(*(part.detach() for part in self))

    def diffused(self, sigma: Tensor, alpha: Tensor | float = 1.0) -> GaussianMixture:
        """The mixture's marginal at noise level sigma (B,) and signal scale alpha (B,) or 1."""
        alpha = torch.as_tensor(alpha, dtype=self.means.dtype).expand(len(sigma))[:, None, None]
        scales = (alpha**2 * self.scales**2 + sigma[:, None, None] ** 2).sqrt()
        return GaussianMixture(
            self.log_weights, alpha * self.means, scales, alpha[..., None] * self.factors
        )

    def component_log_prob(self, a: Tensor) -> Tensor:
        """(B, N, D) -> (B, N, K): log N(a; mu_k, Sigma_k)."""
        whitened, projected, cholesky = self._solve(a)
        squared = whitened.square().sum(-1) - projected.square().sum(-1)
        log_det = 2 * self.scales.log().sum(-1) + 2 * _log_diagonal(cholesky).sum(-1)
        return -0.5 * (squared + log_det[:, None] + a.shape[-1] * LOG_2PI)

    def log_prob(self, a: Tensor) -> Tensor:
        """(B, N, D) -> (B, N)."""
        return torch.logsumexp(self.component_log_prob(a) + self.log_weights[:, None], dim=-1)

    def log_responsibilities(self, a: Tensor) -> Tensor:
        """(B, N, D) -> (B, N, K): log p(k | a)."""
        return torch.log_softmax(self.component_log_prob(a) + self.log_weights[:, None], dim=-1)

    def score(self, a: Tensor) -> Tensor:
        """(B, N, D) -> (B, N, D): gradient of log_prob, in closed form.

        sum_k p(k|a) Sigma_k^-1 (mu_k - a).
        """
        whitened, projected, cholesky = self._solve(a)
        squared = whitened.square().sum(-1) - projected.square().sum(-1)
        log_det = 2 * self.scales.log().sum(-1) + 2 * _log_diagonal(cholesky).sum(-1)
        log_joint = -0.5 * (squared + log_det[:, None]) + self.log_weights[:, None]
        responsibility = torch.softmax(log_joint, dim=-1)
        # Sigma^-1 x = d^-1 (w - V C^-1 V^T w) with w = x / d, V = U / d, C = L L^T.
        scaled = self.factors / self.scales[..., None]
        back = torch.linalg.solve_triangular(
            cholesky.mT, projected.permute(0, 2, 3, 1), upper=True
        )  # (B, K, R, N)
        inner = whitened - torch.einsum("bkdr,bkrn->bnkd", scaled, back)
        return -torch.einsum("bnk,bnkd,bkd->bnd", responsibility, inner, 1 / self.scales)

    def _solve(self, a: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Whitened differences (B, N, K, D), L^-1 V^T w (B, N, K, R) and L (B, K, R, R)."""
        whitened = (a[:, :, None] - self.means[:, None]) / self.scales[:, None]
        scaled = self.factors / self.scales[..., None]
        rank = self.factors.shape[-1]
        eye = torch.eye(rank, dtype=a.dtype)
        cholesky = torch.linalg.cholesky(scaled.mT @ scaled + eye)
        along = torch.einsum("bkdr,bnkd->bkrn", scaled, whitened)
        projected = torch.linalg.solve_triangular(cholesky, along, upper=False)
        return whitened, projected.permute(0, 3, 1, 2), cholesky

    def sample_components(self, count: int, generator: torch.Generator) -> Tensor:
        """(B, K, count, D): `count` reparameterised draws from each component."""
        batch, experts, dim, rank = self.factors.shape
        along = torch.randn(
            batch, experts, count, rank, generator=generator, dtype=self.means.dtype
        )
        alone = torch.randn(batch, experts, count, dim, generator=generator, dtype=self.means.dtype)
        spread = torch.einsum("bkdr,bksr->bksd", self.factors, along)
        return self.means[:, :, None] + self.scales[:, :, None] * alone + spread

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """(B, count, D): draws from the mixture."""
        expert = self.draw_expert(count, generator)
        chosen = expert[..., None, None]
        scales = _take(self.scales, expert)
        factors = self.factors.gather(
            1, chosen.expand(-1, -1, *self.factors.shape[2:])
        )  # (B, count, D, R)
        along = torch.randn(*factors.shape[:2], factors.shape[-1], generator=generator)
        alone = torch.randn(scales.shape, generator=generator)
        spread = torch.einsum("bndr,bnr->bnd", factors, along.to(factors.dtype))
        return _take(self.means, expert) + scales * alone.to(scales.dtype) + spread

    def sample_means(self, count: int, generator: torch.Generator) -> Tensor:
        """(B, count, D): means of experts drawn by weight, what a policy executes."""
        return _take(self.means, self.draw_expert(count, generator))

    def draw_expert(self, count: int, generator: torch.Generator) -> Tensor:
        """(B, count) expert indices drawn by weight."""
        return torch.multinomial(
            self.log_weights.exp(), count, replacement=True, generator=generator
        )

    def entropy_of_components(self) -> Tensor:
        """(B, K): differential entropy of each component [nats]."""
        scaled = self.factors / self.scales[..., None]
        eye = torch.eye(self.factors.shape[-1], dtype=self.means.dtype)
        cholesky = torch.linalg.cholesky(scaled.mT @ scaled + eye)
        half_log_det = self.scales.log().sum(-1) + _log_diagonal(cholesky).sum(-1)
        return half_log_det + 0.5 * self.means.shape[-1] * (1.0 + LOG_2PI)


def _take(per_component: Tensor, expert: Tensor) -> Tensor:
    """(B, K, D), (B, N) -> (B, N, D)."""
    return per_component.gather(1, expert[..., None].expand(-1, -1, per_component.shape[-1]))


def _log_diagonal(cholesky: Tensor) -> Tensor:
    return cholesky.diagonal(dim1=-2, dim2=-1).log()
