"""FeatureDistance: whether what an encoder makes of an image is like what it made of those that a
policy was trained on; numpy alone.

A camera that is swapped with another, turned, or looks at another table is told by it, before
anything is wrong with the robot's own state.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vdd_ros.conformal import Threshold
from vdd_ros.mahalanobis import Clusters


class FeatureDistance(NamedTuple):
    """Of one image by its name. clusters: of features (F,) of the training set; distance: of its
    running average, None where too few episodes were held out."""

    image: str
    clusters: Clusters
    distance: Threshold | None

    def distance_of(self, features: np.ndarray) -> float:
        """Of (F,) to the nearest cluster [standard deviations]."""
        return self.clusters.nearest(features)

    def to_dict(self) -> dict:
        """As plain JSON types; `from_dict` gives it back."""
        return {
            "image": self.image,
            "means": self.clusters.means.tolist(),
            "whiteners": self.clusters.whiteners.tolist(),
            "distance": self.distance and self.distance._asdict(),
        }

    @classmethod
    def from_dict(cls, raw: dict, threshold: Threshold | None) -> FeatureDistance:
        """As saved by `to_dict`; raises KeyError, TypeError or ValueError for what is none."""
        means, whiteners = (np.array(raw[n], np.float64) for n in ("means", "whiteners"))
        clusters, size = means.shape
        fits = clusters > 0 and whiteners.shape == (clusters, size, size)
        if not (fits and np.isfinite(means).all() and np.isfinite(whiteners).all()):
            raise ValueError(f"features of image {raw['image']} have no clusters")
        return cls(str(raw["image"]), Clusters(means, whiteners), threshold)
