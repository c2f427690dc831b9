"""Normalizer: contract units to the network's units and back, fitted on training windows only.

The network sees an observation as the newest reading and the differences between readings, each
standardised, and a chunk relative to the newest position: y[h] = (a[h] - position - mean[h]) / std[h].
An arm's target lies close to where the arm is, so in absolute units most of a chunk's variance would
be the workspace and little of it the motion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vdd_ros.errors import UserError

STD_FLOOR = 1e-3  # [contract unit]; a dimension that never moves must not be divided by zero
FORMAT_VERSION = 1
_FIELDS = (
    "newest_mean", "newest_std", "difference_std", "chunk_mean", "chunk_std", "action_mean",
    "action_std",
)  # fmt: skip


@dataclass(frozen=True)
class Normalizer:
    """Statistics of the training split; all in contract units.

    newest_mean, newest_std: (Do,) of the newest observation; difference_std: (To-1, Do) of the steps
    between observations; chunk_mean, chunk_std: (H, Da) of the chunk relative to the newest position;
    action_mean, action_std: (Da,) of the actions themselves, for figures in standardised actions.
    """

    newest_mean: np.ndarray
    newest_std: np.ndarray
    difference_std: np.ndarray
    chunk_mean: np.ndarray
    chunk_std: np.ndarray
    action_mean: np.ndarray
    action_std: np.ndarray

    @classmethod
    def fit(cls, observations: np.ndarray, chunks: np.ndarray) -> Normalizer:
        """observations: (N, To, Do); chunks: (N, H, Da), both in contract units."""
        newest = observations[:, -1]
        difference = np.diff(observations, axis=1)
        relative = chunks - newest[:, None, : chunks.shape[-1]]
        return cls(
            newest_mean=newest.mean(0),
            newest_std=np.maximum(newest.std(0), STD_FLOOR),
            difference_std=np.maximum(difference.std(0), STD_FLOOR),
            chunk_mean=relative.mean(0),
            chunk_std=np.maximum(relative.std(0), STD_FLOOR),
            action_mean=chunks.mean((0, 1)),
            action_std=np.maximum(chunks.std((0, 1)), STD_FLOOR),
        )

    def features(self, observations: np.ndarray) -> np.ndarray:
        """(..., To, Do) in contract units -> (..., To*Do) for the network."""
        newest = (observations[..., -1, :] - self.newest_mean) / self.newest_std
        steps = np.diff(observations, axis=-2) / self.difference_std
        return np.concatenate(
            [newest, steps.reshape(*steps.shape[:-2], steps.shape[-2] * steps.shape[-1])], axis=-1
        )

    def normalize(self, chunks: np.ndarray, observations: np.ndarray) -> np.ndarray:
        """(..., H, Da) chunk in contract units -> (..., H, Da) for the network."""
        return (chunks - self._origin(observations) - self.chunk_mean) / self.chunk_std

    def unnormalize(self, normalized: np.ndarray, observations: np.ndarray) -> np.ndarray:
        """The mirror of `normalize`."""
        return normalized * self.chunk_std + self.chunk_mean + self._origin(observations)

    def standardize(self, chunks: np.ndarray) -> np.ndarray:
        """(..., H, Da) in contract units -> per-dimension standardised actions (METRICS: NLL)."""
        return (chunks - self.action_mean) / self.action_std

    @property
    def log_volume(self) -> np.ndarray:
        """(H, Da): log |d standardised / d normalized|; subtract its sum from a log density."""
        return np.log(self.chunk_std / self.action_std)

    def _origin(self, observations: np.ndarray) -> np.ndarray:
        return observations[..., -1, None, : self.chunk_mean.shape[-1]]

    def to_dict(self) -> dict:
        """Plain lists, for JSON; `from_dict` gives it back."""
        return {"format_version": FORMAT_VERSION} | {
            name: np.asarray(getattr(self, name)).tolist() for name in _FIELDS
        }

    @classmethod
    def from_dict(cls, raw: dict) -> Normalizer:
        """Raises UserError when a statistic is missing or another format version is found."""
        if raw.get("format_version") != FORMAT_VERSION:
            raise UserError(
                f"normalizer of format version {raw.get('format_version')!r} found, this program reads "
                f"{FORMAT_VERSION}; make the checkpoint or bundle anew"
            )
        missing = [name for name in _FIELDS if name not in raw]
        if missing:
            raise UserError(f"normalizer lacks {', '.join(missing)}; make the bundle anew")
        return cls(**{name: np.asarray(raw[name], dtype=np.float64) for name in _FIELDS})
