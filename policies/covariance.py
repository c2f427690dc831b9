"""Covariances of a mixture's components: full, diagonal, or of low rank plus diagonal.

    Full       Sigma^-1 = W^T W, W lower triangular
    Diagonal   Sigma = diag(s^2)
    LowRank    Sigma = diag(s^2) + U U^T

Each kind knows vectors whose squared length is (a - mu)^T Sigma^-1 (a - mu), and stays of its kind
under the forward process a_sigma = alpha a + sigma xi, where Sigma becomes
alpha^2 Sigma + sigma^2 I. Diagonal and LowRank never need an operation of the order of D^3.

GaussianMixture calls them with autocast off: they compute in the tensors' own precision.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class Covariance(ABC):
    """Of B mixtures of K components in D dimensions; every field is a tensor (B, K, ...)."""

    @property
    @abstractmethod
    def noise_dim(self) -> int:
        """E: how many standard normal numbers make a draw."""

    @abstractmethod
    def whiten(self, centred: Tensor) -> Tensor:
        """(B, N, K, D) a - mu -> (B, N, K, E): the squared length is the Mahalanobis distance's."""

    @abstractmethod
    def pull(self, whitened: Tensor) -> Tensor:
        """(B, N, K, E) -> (B, N, D): sum over k of Sigma_k^-1 (a - mu_k), of whitened a - mu_k."""

    @abstractmethod
    def half_log_det(self) -> Tensor:
        """(B, K): half of ln det Sigma."""

    @abstractmethod
    def spread(self, noise: Tensor) -> Tensor:
        """(B, K, E, N) standard normal -> (B, K, D, N) with covariance Sigma."""

    @abstractmethod
    def root(self) -> Tensor:
        """(B, K, D, E): a matrix L with Sigma = L L^T."""

    @abstractmethod
    def diffused(self, sigma: Tensor, alpha: Tensor) -> Covariance:
        """alpha^2 Sigma + sigma^2 I; sigma, alpha: (B,)."""

    def _each(self, change: Callable[[Tensor], Tensor]) -> Covariance:
        """Of the same kind, with every tensor changed alike."""
        return type(self)(*(change(getattr(self, one.name)) for one in fields(self)))

    def __getitem__(self, index: Any) -> Covariance:
        """The rows, or rows and components, that are chosen."""
        return self._each(lambda tensor: tensor[index])

    def detach(self) -> Covariance:
        return self._each(lambda tensor: tensor.detach())

    def float(self) -> Covariance:
        return self._each(lambda tensor: tensor.float())

    def double(self) -> Covariance:
        return self._each(lambda tensor: tensor.double())


@dataclass(frozen=True, eq=False)
class Full(Covariance):
    """whitener: (B, K, D, D), the W above, lower triangular with a positive diagonal. A density
    needs one product with it and no decomposition.
    """

    whitener: Tensor

    @classmethod
    def of(cls, covariance: Tensor) -> Full:
        """covariance: (B, K, D, D). Raises torch.linalg.LinAlgError if one is not positive."""
        return cls(_inverse(torch.linalg.cholesky(covariance)))

    @property
    def noise_dim(self) -> int:
        return self.whitener.shape[-1]

    def whiten(self, centred: Tensor) -> Tensor:
        if centred.shape[1] == 1:  # a product of matrices pays only for several vectors
            return (self.whitener[:, None] * centred[..., None, :]).sum(-1)
        return torch.einsum("bkij,bnkj->bnki", self.whitener, centred)

    def pull(self, whitened: Tensor) -> Tensor:
        return torch.einsum("bkij,bnki->bnj", self.whitener, whitened)

    def half_log_det(self) -> Tensor:
        return -self.whitener.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def spread(self, noise: Tensor) -> Tensor:
        return torch.linalg.solve_triangular(self.whitener, noise, upper=False)

    def root(self) -> Tensor:
        """W^-1, lower triangular: the Cholesky factor."""
        return _inverse(self.whitener)

    def diffused(self, sigma: Tensor, alpha: Tensor) -> Full:
        scaled = alpha[:, None, None, None] * self.root()
        eye = torch.eye(self.noise_dim, dtype=scaled.dtype)
        return Full.of(scaled @ scaled.mT + (sigma**2)[:, None, None, None] * eye)


@dataclass(frozen=True, eq=False)
class Diagonal(Covariance):
    """scale: (B, K, D), the s above, positive."""

    scale: Tensor

    @property
    def noise_dim(self) -> int:
        return self.scale.shape[-1]

    def whiten(self, centred: Tensor) -> Tensor:
        return centred / self.scale[:, None]

    def pull(self, whitened: Tensor) -> Tensor:
        return (whitened / self.scale[:, None]).sum(2)

    def half_log_det(self) -> Tensor:
        return self.scale.log().sum(-1)

    def spread(self, noise: Tensor) -> Tensor:
        return self.scale[..., None] * noise

    def root(self) -> Tensor:
        return torch.diag_embed(self.scale)

    def diffused(self, sigma: Tensor, alpha: Tensor) -> Diagonal:
        return Diagonal(_noised(self.scale, sigma, alpha))


@dataclass(frozen=True, eq=False)
class LowRank(Covariance):
    """scale: (B, K, D), the s above, positive; factor: (B, K, D, R), the U above.

    With V = diag(1 / s) U and w = (a - mu) / s, what is left of (w, 0) beside the R columns of
    (V; I) is as long as the Mahalanobis distance (Woodbury identity), and det Sigma =
    det(s^2) det(I + V^T V) (matrix determinant lemma). Both are read from a QR decomposition of
    (V; I), which, unlike I + V^T V, does not lose the 1 beside large factors.
    """

    scale: Tensor
    factor: Tensor

    @property
    def noise_dim(self) -> int:
        return self.factor.shape[-2] + self.factor.shape[-1]

    @cached_property
    def _columns(self) -> _Qr:
        """Of (V; I): (B, K, D + R, R)."""
        eye = torch.eye(self.factor.shape[-1], dtype=self.factor.dtype)
        stacked = torch.cat(
            [self.factor / self.scale[..., None], eye.expand(*self.factor.shape[:2], *eye.shape)],
            dim=-2,
        )
        return _Qr(*torch.linalg.qr(stacked))

    def whiten(self, centred: Tensor) -> Tensor:
        q = self._columns.q
        white = centred / self.scale[:, None]
        along = torch.einsum("bkdr,bnkd->bnkr", q[:, :, : centred.shape[-1]], white)
        beside = nn.functional.pad(white, (0, self.factor.shape[-1]))
        return beside - torch.einsum("bker,bnkr->bnke", q, along)

    def pull(self, whitened: Tensor) -> Tensor:
        return (whitened[..., : self.scale.shape[-1]] / self.scale[:, None]).sum(2)

    def half_log_det(self) -> Tensor:
        inner = self._columns.r.diagonal(dim1=-2, dim2=-1).abs().log().sum(-1)
        return self.scale.log().sum(-1) + inner

    def spread(self, noise: Tensor) -> Tensor:
        own, common = noise.tensor_split([self.scale.shape[-1]], dim=-2)
        return self.scale[..., None] * own + self.factor @ common

    def root(self) -> Tensor:
        return torch.cat([torch.diag_embed(self.scale), self.factor], dim=-1)

    def diffused(self, sigma: Tensor, alpha: Tensor) -> LowRank:
        factor = alpha[:, None, None, None] * self.factor
        return LowRank(_noised(self.scale, sigma, alpha), factor)


class _Qr(NamedTuple):
    """q: (B, K, D + R, R), orthonormal columns; r: (B, K, R, R), upper triangular."""

    q: Tensor
    r: Tensor


def _noised(scale: Tensor, sigma: Tensor, alpha: Tensor) -> Tensor:
    """(B, K, D): sqrt(alpha^2 s^2 + sigma^2)."""
    return torch.hypot(alpha[:, None, None] * scale, sigma[:, None, None].expand_as(scale))


def _inverse(lower: Tensor) -> Tensor:
    """(B, K, D, D): the inverse of lower triangular matrices, lower triangular itself."""
    eye = torch.eye(lower.shape[-1], dtype=lower.dtype).expand_as(lower)
    return torch.linalg.solve_triangular(lower, eye, upper=False)
