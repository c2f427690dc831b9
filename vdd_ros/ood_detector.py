"""OodDetector: whether what is observed is like what a policy was trained on; numpy alone.

It looks at the observation only, not at what the policy makes of it: a policy is as sure of itself
where it has never been as where it has. Windows are taken flattened, oldest first, in the units of
the contract.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vdd_ros.conformal import Threshold
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.feature_distance import FeatureDistance
from vdd_ros.mahalanobis import Clusters

AXES = {"position": ("x", "y", "z"), "heading": ("cos", "sin")}
LARGEST_SHARES = 3  # how many numbers of an observation an explanation names


class Deviation(NamedTuple):
    """One number of the newest observation. expected: what the others let expect of it, in the
    nearest cluster [unit]; share: by how much the squared distance falls if it is left out."""

    name: str
    unit: str
    value: float
    expected: float
    share: float

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.name} is {self.value:.3f}{unit}, expected {self.expected:.3f}"


class OodDetector(NamedTuple):
    """clusters: of flattened windows (To * Do,) of the training set; running_ticks: over which the
    distance is averaged. Thresholds, each for itself, None where there is none: distance, of that
    average; gating_entropy [nats] and surprise [nats], of single ticks. Surprise is minus the
    log-likelihood of a whole chunk that was demonstrated. images: the same of what encoders make of
    each image, averaged as the distance is.
    """

    clusters: Clusters
    running_ticks: int
    distance: Threshold | None
    gating_entropy: Threshold | None = None
    surprise: Threshold | None = None
    images: tuple[FeatureDistance, ...] = ()

    def distance_of(self, window: np.ndarray) -> float:
        """Of a window (To, Do) to the nearest cluster [standard deviations]."""
        return self.clusters.nearest(window.reshape(-1))

    def deviations(self, window: np.ndarray, contract: Contract) -> list[Deviation]:
        """Of each number of the newest observation of a window (To, Do), the largest share first.

        With z = x - m and P = S^-1, leaving out the numbers G lowers the squared distance by
        (P z)_G^T P_GG^-1 (P z)_G, at x_G - P_GG^-1 (P z)_G (their mean given the others). G is one
        number of the observation at all times of the window.
        """
        flat = window.reshape(-1).astype(np.float64)
        nearest = int(self.clusters.distances(flat[None])[:, 0].argmin())
        whitener = self.clusters.whiteners[nearest]
        precision = whitener.T @ whitener
        pull = precision @ (flat - self.clusters.means[nearest])
        found = []
        for place, (name, unit) in enumerate(observation_names(contract)):
            group = np.arange(place, flat.size, window.shape[-1])
            back = _solved(precision[np.ix_(group, group)], pull[group])
            value = float(window[-1, place])
            share = float(pull[group] @ back)
            found.append(Deviation(name, unit, value, value - float(back[-1]), share))
        return sorted(found, key=lambda one: -one.share)

    def explanation(self, window: np.ndarray, distance: float, contract: Contract) -> str:
        """How far a window (To, Do) is off, at a running mean of `distance`, and what makes it."""
        assert self.distance is not None
        largest = self.deviations(window, contract)[:LARGEST_SHARES]
        return (
            f"distance {distance:.3g} from the training set, the threshold is "
            f"{self.distance.value:.3g}: {'; '.join(map(str, largest))}"
        )

    def at_rate(self, ratio: float) -> OodDetector:
        """The same detector where control ticks come `ratio` times as often."""
        return self._replace(running_ticks=max(1, round(self.running_ticks * ratio)))

    def to_dict(self) -> dict:
        """As plain JSON types; `from_dict` gives it back."""
        return {
            "means": self.clusters.means.tolist(),
            "whiteners": self.clusters.whiteners.tolist(),
            "running_ticks": self.running_ticks,
            **{name: one and one._asdict() for name, one in self.thresholds.items()},
            **({"images": [one.to_dict() for one in self.images]} if self.images else {}),
        }

    @property
    def thresholds(self) -> dict[str, Threshold | None]:
        """By name."""
        return {name: getattr(self, name) for name in ("distance", "gating_entropy", "surprise")}

    @classmethod
    def from_dict(cls, raw: object, window_size: int, where: str) -> OodDetector:
        """As saved by `to_dict`, for flattened windows of that size; raises UserError for what is
        none."""
        fault = UserError(
            f"{where} does not say how far windows of {window_size} numbers are from a training "
            "set: export the bundle again"
        )
        try:
            means, whiteners = (np.array(raw[n], np.float64) for n in ("means", "whiteners"))  # type: ignore[index]
            ticks = int(raw["running_ticks"])  # type: ignore[index]
            thresholds = [_threshold(raw[n]) for n in ("distance", "gating_entropy", "surprise")]  # type: ignore[index]
            images = [
                FeatureDistance.from_dict(one, _threshold(one["distance"]))
                for one in raw.get("images", ())  # type: ignore[attr-defined]
            ]
        except (KeyError, TypeError, ValueError):
            raise fault from None
        shape = (means.shape[0] if means.ndim else 0, window_size)
        fits = means.shape == shape and whiteners.shape == (*shape, window_size) and shape[0]
        if not (fits and ticks > 0 and np.isfinite(means).all() and np.isfinite(whiteners).all()):
            raise fault
        distance, entropy, surprise = thresholds
        clusters = Clusters(means, whiteners)
        return cls(clusters, ticks, distance, entropy, surprise, tuple(images))


def _solved(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The smallest (n,) that `matrix` (n, n) turns into `right` (n,), as nearly as it can: of a
    number that a cluster does not weigh, nothing is expected. Zeros where there is none."""
    try:
        return np.linalg.solve(matrix, right)
    except np.linalg.LinAlgError:
        pass
    try:
        return np.linalg.lstsq(matrix, right, rcond=None)[0]
    except np.linalg.LinAlgError:
        return np.zeros_like(right)


def _threshold(raw: dict | None) -> Threshold | None:
    if raw is None:
        return None
    return Threshold(
        float(raw["value"]),
        float(raw["false_alarm_rate"]),
        int(raw["episodes"]),
        int(raw["scenes"]),
    )


def observation_names(contract: Contract) -> list[tuple[str, str]]:
    """Name and unit of each of the Do numbers of an observation, in order."""
    names = []
    for part in contract.observation:
        if contract.streams[part.stream].is_of_objects:
            unit = "m" if part.field == "position" else ""
            for thing in contract.objects:
                names += [(f"{part.name} {thing} {axis}", unit) for axis in AXES[part.field]]
        else:
            per = "/s" if part.field == "velocity" else ""
            names += [(f"{part.name} {one.name}", one.unit + per) for one in contract.joints]
    return names
