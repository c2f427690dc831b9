"""Statistics of features as LeRobot's formats keep them, of an episode and of a whole dataset."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

QUANTILES = (0.01, 0.10, 0.50, 0.90, 0.99)


@dataclass(frozen=True)
class Statistics:
    """Of N rows of D numbers: (D,) each, quantiles (5, D); std is that of the population. shape: of
    D numbers, where LeRobot wants another than (D,)."""

    count: int
    low: np.ndarray
    high: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    quantiles: np.ndarray
    shape: tuple[int, ...] = (-1,)

    def with_those_of(self, others: Statistics | None) -> Statistics:
        """Those of these rows and of others before them; of quantiles, as LeRobot has it, the mean
        of both weighed by their rows."""
        if others is None:
            return self
        count = others.count + self.count
        share = self.count / count
        step = self.mean - others.mean
        variance = others.std**2 + share * (self.std**2 - others.std**2 + (1 - share) * step**2)
        return Statistics(
            count=count,
            low=np.minimum(self.low, others.low),
            high=np.maximum(self.high, others.high),
            mean=others.mean + share * step,
            std=np.sqrt(np.maximum(variance, 0.0)),
            quantiles=others.quantiles + share * (self.quantiles - others.quantiles),
            shape=self.shape,
        )

    def plain(self) -> dict[str, list]:
        """By LeRobot's names."""
        named = {"min": self.low, "max": self.high, "mean": self.mean, "std": self.std}
        named |= {
            f"q{round(100 * quantile):02d}": row
            for quantile, row in zip(QUANTILES, self.quantiles, strict=True)
        }
        shaped = {name: values.reshape(self.shape).tolist() for name, values in named.items()}
        return shaped | {"count": [self.count]}


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
