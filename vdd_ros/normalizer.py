"""Normalizer: contract units to the network's units and back, fitted on training windows only.

The network sees an observation as the newest reading and the differences between readings, each
standardised. It sees a chunk as R numbers z of about unit variance:

    a = r(o) + mean + std * (B (spread * z)) + what B leaves out

r(o) is a reference motion, which takes away most of a chunk's variance: a quadratic or linear
regression of the chunk on those features, or the arm staying where it is. The columns of B are the
R directions (principal components) in which chunks differ most from it. Smooth chunks fill few of
their H * Da directions: in all others there is little to learn. What B leaves out is a Gaussian of
one covariance wherever a density over whole chunks is asked for. The spread has a floor, so that
mere noise is not blown up to the size of what matters.

The regression is fitted on readings shifted by a little noise. Demonstrations of a task in a plane
leave an arm of seven joints on a surface of two dimensions; the noise teaches the reference to lead
back to that surface. A chunk relative to where the arm is now would let errors off it add up. Where
a joint moves less within an episode than between episodes, though, a regression learns the
episodes by heart, and where the arm is now is the better reference.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from vdd_ros.errors import UserError

STD_FLOOR = 1e-3  # [contract unit]; a dimension that never moves must not be divided by zero
SHIFT_STD = 0.01  # [contract unit] of the readings that the reference is fitted on
RIDGE = 1e-6  # relative to the number of windows; the features are standardised
SPREAD_FLOOR = 0.1  # of one standardised number of a chunk
FORMAT_VERSION = 3


@dataclass(frozen=True)
class Normalizer:
    """Statistics of the training split; all in contract units.

    newest_mean, newest_std: (Do,) of the newest observation; difference_std: (To-1, Do) of the
    steps between observations; reference: (P, H*Da) weights of the P terms below; chunk_mean,
    chunk_std: (H, Da) of the chunk relative to the reference; basis: (H*Da, R), the B above,
    orthonormal; spread: (R,); remainder: (H*Da, H*Da) covariance of what the basis leaves out, in
    units of chunk_std; action_mean, action_std: (Da,) of the actions themselves, for figures in
    standardised actions.
    """

    newest_mean: np.ndarray
    newest_std: np.ndarray
    difference_std: np.ndarray
    reference: np.ndarray
    chunk_mean: np.ndarray
    chunk_std: np.ndarray
    basis: np.ndarray
    spread: np.ndarray
    remainder: np.ndarray
    action_mean: np.ndarray
    action_std: np.ndarray

    @classmethod
    def fit(
        cls,
        observations: np.ndarray,
        chunks: np.ndarray,
        rank: int,
        rng: np.random.Generator,
        degree: int = 2,
    ) -> Normalizer:
        """observations: (N, To, Do), the first Da of Do the joints that actions are of; chunks:
        (N, H, Da), both in contract units; rank: R, at most H * Da are used; degree: 2 or 1 for a
        quadratic or linear reference, 0 for the arm staying where it is. There are Do^2 products:
        with tens of joints and episodes a quadratic one fits noise."""
        newest, difference = observations[:, -1], np.diff(observations, axis=1)
        newest_mean, newest_std = newest.mean(0), np.maximum(newest.std(0), STD_FLOOR)
        difference_std = np.maximum(difference.std(0), STD_FLOOR)
        scales = (newest_mean, newest_std, difference_std)
        if degree == 0:
            weights = np.vstack([newest_mean, np.diag(newest_std)])[:, : chunks.shape[-1]]
            reference = np.zeros((1 + observations[0].size, chunks[0].size))
            reference[: len(weights)] = np.tile(weights, chunks.shape[1])
        else:
            products = newest.shape[1] if degree == 2 else 0
            shift = SHIFT_STD * rng.standard_normal((len(newest), 1, newest.shape[1]))
            shifted = terms_of(features(observations + shift, *scales), products)
            gram = shifted.T @ shifted + RIDGE * len(shifted) * np.eye(shifted.shape[1])
            reference = np.linalg.solve(gram, shifted.T @ chunks.reshape(len(chunks), -1))
        terms = _terms_for(reference, features(observations, *scales), newest.shape[1])
        relative = chunks - (terms @ reference).reshape(chunks.shape)
        chunk_mean, chunk_std = relative.mean(0), np.maximum(relative.std(0), STD_FLOOR)
        standardised = ((relative - chunk_mean) / chunk_std).reshape(len(chunks), -1)
        variance, directions = np.linalg.eigh(standardised.T @ standardised / len(chunks))
        largest = np.argsort(variance)[::-1][:rank]
        basis = directions[:, largest]
        left_out = standardised - standardised @ basis @ basis.T
        return cls(
            newest_mean=newest_mean,
            newest_std=newest_std,
            difference_std=difference_std,
            reference=reference,
            chunk_mean=chunk_mean,
            chunk_std=chunk_std,
            basis=basis,
            spread=np.maximum(np.sqrt(np.maximum(variance[largest], 0.0)), SPREAD_FLOOR),
            remainder=left_out.T @ left_out / len(left_out),
            action_mean=chunks.mean((0, 1)),
            action_std=np.maximum(chunks.std((0, 1)), STD_FLOOR),
        )

    def features(self, observations: np.ndarray) -> np.ndarray:
        """(..., To, Do) in contract units -> (..., To*Do) for the network."""
        return features(observations, self.newest_mean, self.newest_std, self.difference_std)

    def normalize(self, chunks: np.ndarray, observations: np.ndarray) -> np.ndarray:
        """(..., H, Da) chunk in contract units -> (..., R) for the network."""
        relative = chunks - self.reference_chunk(observations) - self.chunk_mean
        standardised = (relative / self.chunk_std).reshape(*chunks.shape[:-2], -1)
        return standardised @ self.basis / self.spread

    def unnormalize(self, normalized: np.ndarray, observations: np.ndarray) -> np.ndarray:
        """(..., R) -> (..., H, Da); what the basis leaves out is lost."""
        standardised = (normalized * self.spread) @ self.basis.T
        relative = standardised.reshape(*normalized.shape[:-1], *self.chunk_mean.shape)
        return relative * self.chunk_std + self.chunk_mean + self.reference_chunk(observations)

    def reference_chunk(self, observations: np.ndarray) -> np.ndarray:
        """(..., To, Do) -> (..., H, Da): r(o), in contract units."""
        terms = _terms_for(self.reference, self.features(observations), self.newest_mean.size)
        return (terms @ self.reference).reshape(*terms.shape[:-1], *self.chunk_mean.shape)

    def standardize(self, chunks: np.ndarray) -> np.ndarray:
        """(..., H, Da) in contract units -> per-dimension standardised actions (METRICS: NLL)."""
        return (chunks - self.action_mean) / self.action_std

    @property
    def sizes(self) -> tuple[int, int, int]:
        """(Do, C, R): numbers in the newest observation, in the features, and for a chunk."""
        newest = self.newest_mean.size
        return newest, newest + self.difference_std.size, self.spread.size

    @property
    def decoder(self) -> np.ndarray:
        """(H*Da, R): d chunk / d normalized, in contract units."""
        return self.chunk_std.reshape(-1, 1) * self.basis * self.spread

    @property
    def remainder_covariance(self) -> np.ndarray:
        """(H*Da, H*Da) covariance of what the basis leaves out, in contract units, and of a little
        noise, STD_FLOOR times the std of the actions: a density over whole chunks is not sharper
        than that (METRICS: NLL)."""
        scale = self.chunk_std.ravel()
        floor = STD_FLOOR * np.tile(self.action_std, len(self.chunk_std))
        return self.remainder * np.outer(scale, scale) + np.diag(floor**2)

    def to_dict(self) -> dict:
        """Plain lists, for JSON; `from_dict` gives it back."""
        return {"format_version": FORMAT_VERSION} | {
            field.name: getattr(self, field.name).tolist() for field in fields(self)
        }

    @classmethod
    def from_dict(cls, raw: dict) -> Normalizer:
        """Raises UserError when a statistic is missing or another format version is found."""
        if raw.get("format_version") != FORMAT_VERSION:
            raise UserError(
                f"normalizer of format version {raw.get('format_version')!r} found, this program "
                f"reads {FORMAT_VERSION}; make the checkpoint or bundle anew"
            )
        names = [field.name for field in fields(cls)]
        missing = [name for name in names if name not in raw]
        if missing:
            raise UserError(f"normalizer lacks {', '.join(missing)}; make the bundle anew")
        arrays = {name: np.asarray(raw[name], dtype=np.float64) for name in names}
        arrays["difference_std"] = arrays["difference_std"].reshape(-1, arrays["newest_mean"].size)
        return cls(**arrays)


def features(
    observations: np.ndarray, mean: np.ndarray, std: np.ndarray, difference_std: np.ndarray
) -> np.ndarray:
    """(..., To, Do) -> (..., To*Do): the newest observation and the steps to it, standardised."""
    newest = (observations[..., -1, :] - mean) / std
    steps = np.diff(observations, axis=-2) / difference_std
    return np.concatenate([newest, steps.reshape(*steps.shape[:-2], -1)], axis=-1)


def terms_of(standardised: np.ndarray, products: int) -> np.ndarray:
    """(..., C) -> (..., P): one, the features, and all products of the first `products`."""
    first = standardised[..., :products]
    pairs = (first[..., :, None] * first[..., None, :]).reshape(*first.shape[:-1], -1)
    one = np.ones((*first.shape[:-1], 1))
    return np.concatenate([one, standardised, pairs], axis=-1)


def _terms_for(reference: np.ndarray, standardised: np.ndarray, newest: int) -> np.ndarray:
    """The terms that a reference has weights of: with products, or without."""
    has_products = len(reference) > 1 + standardised.shape[-1]
    return terms_of(standardised, newest if has_products else 0)
