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

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields

import numpy as np

from vdd_ros.errors import UserError
from vdd_ros.moments import moments

STD_FLOOR = 1e-3  # [contract unit]; a dimension that never moves must not be divided by zero
SHIFT_STD = 0.01  # [contract unit] of the readings that the reference is fitted on
RIDGE = 1e-6  # relative to the number of windows; the features are standardised
SPREAD_FLOOR = 0.1  # of one standardised number of a chunk
FORMAT_VERSION = 3
# gives observations (N, To, Do) and chunks (N, H, Da), block by block, the same each time
Blocks = Callable[[], Iterator[tuple[np.ndarray, np.ndarray]]]


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
        return cls.fit_blocks(lambda: iter([(observations, chunks)]), rank, rng, degree)

    @classmethod
    def fit_blocks(
        cls, blocks: Blocks, rank: int, rng: np.random.Generator, degree: int
    ) -> Normalizer:
        """As `fit`, of windows that come in blocks, which are asked for several times."""

        def parts() -> Iterator[tuple[np.ndarray, ...]]:
            for observations, chunks in blocks():
                yield observations[:, -1], np.diff(observations, axis=1), chunks

        newest, difference, action = moments(parts, ((0,), (0,), (0, 1)))
        scales = (newest.mean, _floored(newest.std), _floored(difference.std))
        reference = _reference(blocks, scales, rng, degree)

        def relative() -> Iterator[tuple[np.ndarray]]:
            for observations, chunks in blocks():
                seen = features(observations, *scales)
                terms = _terms_for(reference, seen, len(newest.mean))
                yield (chunks - (terms @ reference).reshape(chunks.shape),)

        (chunk,) = moments(relative, ((0,),))
        chunk_std = _floored(chunk.std)

        def standardised() -> Iterator[np.ndarray]:
            for (one,) in relative():
                yield ((one - chunk.mean) / chunk_std).reshape(len(one), -1)

        variance, directions = np.linalg.eigh(sum(s.T @ s for s in standardised()) / newest.number)
        largest = np.argsort(variance)[::-1][:rank]
        basis = directions[:, largest]
        left_out = (s - s @ basis @ basis.T for s in standardised())
        return cls(
            newest_mean=scales[0],
            newest_std=scales[1],
            difference_std=scales[2],
            reference=reference,
            chunk_mean=chunk.mean,
            chunk_std=chunk_std,
            basis=basis,
            spread=np.maximum(np.sqrt(np.maximum(variance[largest], 0.0)), SPREAD_FLOOR),
            remainder=sum(part.T @ part for part in left_out) / newest.number,
            action_mean=action.mean,
            action_std=_floored(action.std),
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
            raise UserError(
                f"normalizer lacks {', '.join(missing)}; make the checkpoint or bundle anew"
            )
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


def _floored(std: np.ndarray) -> np.ndarray:
    return np.maximum(std, STD_FLOOR)


def _reference(
    blocks: Blocks,
    scales: tuple[np.ndarray, np.ndarray, np.ndarray],
    rng: np.random.Generator,
    degree: int,
) -> np.ndarray:
    """(P, H*Da), see `Normalizer`."""
    newest_mean, newest_std, _ = scales
    if degree == 0:
        observations, chunks = next(blocks())
        weights = np.vstack([newest_mean, np.diag(newest_std)])[:, : chunks.shape[-1]]
        reference = np.zeros((1 + observations[0].size, chunks[0].size))
        reference[: len(weights)] = np.tile(weights, chunks.shape[1])
        return reference
    products = len(newest_mean) if degree == 2 else 0
    gram, cross, count = np.zeros(()), np.zeros(()), 0
    for observations, chunks in blocks():
        shift = SHIFT_STD * rng.standard_normal((len(observations), 1, len(newest_mean)))
        shifted = terms_of(features(observations + shift, *scales), products)
        gram = gram + shifted.T @ shifted
        cross = cross + shifted.T @ chunks.reshape(len(chunks), -1)
        count += len(shifted)
    return np.linalg.solve(gram + RIDGE * count * np.eye(len(gram)), cross)
