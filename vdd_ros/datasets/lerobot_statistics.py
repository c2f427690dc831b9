"""Statistics of features as LeRobot's formats keep them, of an episode and of a whole dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

QUANTILES = (0.01, 0.10, 0.50, 0.90, 0.99)


@dataclass(frozen=True)
class Statistics:
    """Of N rows of D numbers: (D,) each, quantiles (5, D); std is that of the population."""

    count: int
    low: np.ndarray
    high: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    quantiles: np.ndarray

    @classmethod
    def of_all(cls, parts: Sequence[Statistics]) -> Statistics:
        """Those of all rows of several parts; of quantiles, as LeRobot has it, the mean of those
        of the parts weighed by their rows."""
        counts = np.array([part.count for part in parts], dtype=np.float64)
        weights = counts / counts.sum()
        means = np.stack([part.mean for part in parts])
        mean = weights @ means
        variances = np.stack([part.std for part in parts]) ** 2 + (means - mean) ** 2
        return cls(
            count=int(counts.sum()),
            low=np.min([part.low for part in parts], axis=0),
            high=np.max([part.high for part in parts], axis=0),
            mean=mean,
            std=np.sqrt(weights @ variances),
            quantiles=np.tensordot(weights, np.stack([part.quantiles for part in parts]), 1),
        )

    def plain(self) -> dict[str, list]:
        """By LeRobot's names."""
        named = {"min": self.low, "max": self.high, "mean": self.mean, "std": self.std}
        named |= {
            f"q{round(100 * quantile):02d}": row
            for quantile, row in zip(QUANTILES, self.quantiles, strict=True)
        }
        return {name: values.tolist() for name, values in named.items()} | {"count": [self.count]}


def statistics_of(values: np.ndarray) -> Statistics:
    """(N, D), N > 0."""
    numbers = values.astype(np.float64)
    return Statistics(
        count=len(numbers),
        low=numbers.min(0),
        high=numbers.max(0),
        mean=numbers.mean(0),
        std=numbers.std(0),
        quantiles=np.quantile(numbers, QUANTILES, axis=0),
    )
