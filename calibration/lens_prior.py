"""LensPrior: how well a lens is known before hand-eye, which is estimated along with it.

A focal length that is off by half a percent moves a camera by millimetres along its view, however
well its place fits the pictures. So the lens's numbers are unknowns, too, held by what is known of
them. Intrinsics that were estimated from the very views hold nothing: what these views say of the
lens would count twice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vdd_ros.calibration.lens import NAMES, Lens


@dataclass(frozen=True)
class LensPrior:
    """lens: as stated; covariance: (9, 9) of its numbers, in the order of NAMES, whose variance is
    0 where one is taken as exact; from_others: whether it comes from other views than those of the
    hand-eye."""

    lens: Lens
    covariance: np.ndarray
    from_others: bool

    @classmethod
    def of_stated(cls, lens: Lens, share: float) -> LensPrior:
        """Of a lens whose numbers come without deviations: by each of them what is seen at the
        edge of the picture may be off by `share` of its distance from the middle, one standard
        deviation. The third radial number is exact where it is 0."""
        edge_px = float(np.hypot(lens.width, lens.height)) / 2.0
        edge = edge_px / lens.focal
        in_pixels = [lens.focal, lens.focal, edge_px, edge_px]
        in_ratios = [edge**-2, edge**-4, 1.0 / (3.0 * edge), 1.0 / (3.0 * edge), edge**-6]
        std = share * np.array([*in_pixels, *in_ratios])
        std[8] *= lens.numbers[8] != 0.0
        return cls(lens, np.diag(std**2), from_others=True)

    @property
    def free(self) -> np.ndarray:
        """(l,) which of the numbers are unknown."""
        return np.flatnonzero(np.diag(self.covariance) > 0.0)

    @property
    def root(self) -> np.ndarray:
        """(l, l) R, of which R (numbers - stated) has variance 1; (0, l) where nothing holds."""
        free = self.free
        if not self.from_others:
            return np.zeros((0, len(free)))
        std = np.sqrt(np.diag(self.covariance)[free])
        even = self.covariance[np.ix_(free, free)] / np.outer(std, std)  # pixels beside ratios
        return np.linalg.inv(np.linalg.cholesky(even)) / std

    @property
    def focal_std(self) -> float:
        """Of the mean focal length, as a share of it."""
        mean = np.zeros(len(NAMES))
        mean[:2] = 0.5
        return float(np.sqrt(mean @ self.covariance @ mean)) / self.lens.focal

    def residuals(self, lens: Lens) -> np.ndarray:
        """(l,), or (0,), how far a lens is from the one stated, in standard deviations."""
        return self.root @ (lens.numbers - self.lens.numbers)[self.free]
