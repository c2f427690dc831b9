"""Normalizer: contract units to the network's units and back, fitted on training windows only.

The network sees an observation as the newest reading and the differences between readings, each
standardised. It sees a chunk relative to a reference motion r(o), a quadratic regression of the
chunk on those features: y[h] = (a[h] - r(o)[h] - mean[h]) / std[h]. The reference takes away most
of a chunk's variance, so that what is left to the network is fine compared with what it is asked
for.

The regression is fitted on readings shifted by a little noise. Demonstrations of a task in a plane
leave an arm of seven joints on a surface of two dimensions; the noise teaches the reference to lead
back to that surface. A chunk relative to where the arm is now would let errors off it add up.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from vdd_ros.errors import UserError

STD_FLOOR = 1e-3  # [contract unit]; a dimension that never moves must not be divided by zero
SHIFT_STD = 0.01  # [contract unit] of the readings that the reference is fitted on
RIDGE = 1e-6  # relative to the number of windows; the features are standardised
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Normalizer:
    """Statistics of the training split; all in contract units.

    newest_mean, newest_std: (Do,) of the newest observation; difference_std: (To-1, Do) of the
    steps between observations; reference: (P, H*Da) weights of the regression; chunk_mean,
    chunk_std: (H, Da) of the chunk relative to the reference; action_mean, action_std: (Da,) of the
    actions themselves, for figures in standardised actions.
    """

    newest_mean: np.ndarray
    newest_std: np.ndarray
    difference_std: np.ndarray
    reference: np.ndarray
    chunk_mean: np.ndarray
    chunk_std: np.ndarray
    action_mean: np.ndarray
    action_std: np.ndarray

    @classmethod
    def fit(
        cls, observations: np.ndarray, chunks: np.ndarray, rng: np.random.Generator
    ) -> Normalizer:
        """observations: (N, To, Do); chunks: (N, H, Da), both in contract units."""
        newest, difference = observations[:, -1], np.diff(observations, axis=1)
        newest_mean, newest_std = newest.mean(0), np.maximum(newest.std(0), STD_FLOOR)
        difference_std = np.maximum(difference.std(0), STD_FLOOR)
        shift = SHIFT_STD * rng.standard_normal((len(newest), 1, newest.shape[1]))
        scales = (newest_mean, newest_std, difference_std)
        terms = quadratic(features(observations + shift, *scales), newest.shape[1])
        gram = terms.T @ terms + RIDGE * len(terms) * np.eye(terms.shape[1])
        reference = np.linalg.solve(gram, terms.T @ chunks.reshape(len(chunks), -1))
        terms = quadratic(features(observations, *scales), newest.shape[1])
        relative = chunks - (terms @ reference).reshape(chunks.shape)
        return cls(
            newest_mean=newest_mean,
            newest_std=newest_std,
            difference_std=difference_std,
            reference=reference,
            chunk_mean=relative.mean(0),
            chunk_std=np.maximum(relative.std(0), STD_FLOOR),
            action_mean=chunks.mean((0, 1)),
            action_std=np.maximum(chunks.std((0, 1)), STD_FLOOR),
        )

    def features(self, observations: np.ndarray) -> np.ndarray:
        """(..., To, Do) in contract units -> (..., To*Do) for the network."""
        return features(observations, self.newest_mean, self.newest_std, self.difference_std)

    def normalize(self, chunks: np.ndarray, observations: np.ndarray) -> np.ndarray:
        """(..., H, Da) chunk in contract units -> (..., H, Da) for the network."""
        return (chunks - self.reference_chunk(observations) - self.chunk_mean) / self.chunk_std

    def unnormalize(self, normalized: np.ndarray, observations: np.ndarray) -> np.ndarray:
        """The mirror of `normalize`."""
        return normalized * self.chunk_std + self.chunk_mean + self.reference_chunk(observations)

    def reference_chunk(self, observations: np.ndarray) -> np.ndarray:
        """(..., To, Do) -> (..., H, Da): r(o), in contract units."""
        terms = quadratic(self.features(observations), self.newest_mean.size)
        return (terms @ self.reference).reshape(*terms.shape[:-1], *self.chunk_mean.shape)

    def standardize(self, chunks: np.ndarray) -> np.ndarray:
        """(..., H, Da) in contract units -> per-dimension standardised actions (METRICS: NLL)."""
        return (chunks - self.action_mean) / self.action_std

    @property
    def log_volume(self) -> np.ndarray:
        """(H, Da): log |d standardised / d normalized|; subtract its sum from a log density."""
        return np.log(self.chunk_std / self.action_std)

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
        return cls(**{name: np.asarray(raw[name], dtype=np.float64) for name in names})


def features(
    observations: np.ndarray, mean: np.ndarray, std: np.ndarray, difference_std: np.ndarray
) -> np.ndarray:
    """(..., To, Do) -> (..., To*Do): the newest observation and the steps to it, standardised."""
    newest = (observations[..., -1, :] - mean) / std
    steps = np.diff(observations, axis=-2) / difference_std
    return np.concatenate([newest, steps.reshape(*steps.shape[:-2], -1)], axis=-1)


def quadratic(standardised: np.ndarray, newest: int) -> np.ndarray:
    """(..., C) -> (..., 1 + C + newest^2): one, the features, products of the first `newest`."""
    first = standardised[..., :newest]
    products = (first[..., :, None] * first[..., None, :]).reshape(*first.shape[:-1], -1)
    one = np.ones((*first.shape[:-1], 1))
    return np.concatenate([one, standardised, products], axis=-1)
