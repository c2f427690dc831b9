"""Lens: from points in a camera's optical frame to pixels, with the derivative.

The model of `sensor_msgs/CameraInfo` called plumb_bob (Brown-Conrady): k1, k2, p1, p2, k3.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

NAMES = ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2", "k3")
NEAREST = 1e-6  # [m] a point that is no further in front of the camera has no pixel


@dataclass(frozen=True)
class Lens:
    """width, height [pixels]; matrix: (3, 3) K [pixels]; distortion: (5,) k1, k2, p1, p2, k3."""

    width: int
    height: int
    matrix: np.ndarray
    distortion: np.ndarray = field(default_factory=lambda: np.zeros(5))

    @property
    def focal(self) -> float:
        """Mean focal length [pixels]."""
        return float((self.matrix[0, 0] + self.matrix[1, 1]) / 2.0)

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """(..., 3) [m] in the optical frame -> (..., 2) [pixels], NaN behind the camera."""
        return self.pixels_and_slopes(points)[0]

    def pixels_and_slopes(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(..., 3) [m] -> (..., 2) [pixels] and their derivatives (..., 2, 3) [pixels/m]."""
        x, y, z = _rays(points)
        k1, k2, p1, p2, k3 = self.distortion
        r2, radial, dx, dy = self._bent(x, y)
        slope = k1 + r2 * (2.0 * k2 + r2 * 3.0 * k3)  # of radial by r2
        pixels = np.stack([dx, dy], -1) @ self.matrix[:2, :2].T + self.matrix[:2, 2]
        mixed = 2.0 * x * y * slope + 2.0 * p1 * x + 2.0 * p2 * y
        by_xy = np.stack(
            [
                radial + 2.0 * x * x * slope + 2.0 * p1 * y + 6.0 * p2 * x,
                mixed,
                mixed,
                radial + 2.0 * y * y * slope + 6.0 * p1 * y + 2.0 * p2 * x,
            ],
            axis=-1,
        ).reshape(*x.shape, 2, 2)
        zero, per_z = np.zeros_like(z), 1.0 / z
        by_point = np.stack([per_z, zero, -x * per_z, zero, per_z, -y * per_z], axis=-1)
        slopes = self.matrix[:2, :2] @ by_xy @ by_point.reshape(*x.shape, 2, 3)
        return pixels, slopes

    def _bent(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, ...]:
        """Squared radius of (...,) rays at a depth of 1, its radial factor, and x and y bent."""
        k1, k2, p1, p2, k3 = self.distortion
        r2 = x * x + y * y
        radial = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))
        dx = x * radial + 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x)
        dy = y * radial + p1 * (r2 + 2.0 * y * y) + 2.0 * p2 * x * y
        return r2, radial, dx, dy

    @property
    def numbers(self) -> np.ndarray:
        """(9,) of NAMES."""
        k = self.matrix
        return np.array([k[0, 0], k[1, 1], k[0, 2], k[1, 2], *self.distortion])

    def changed(self, change: np.ndarray) -> Lens:
        """With (9,) added to its numbers."""
        matrix = self.matrix.copy()
        matrix[[0, 1, 0, 1], [0, 1, 2, 2]] += change[:4]
        return Lens(self.width, self.height, matrix, self.distortion + change[4:])

    def slopes_by_numbers(self, points: np.ndarray) -> np.ndarray:
        """(..., 3) [m] -> (..., 2, 9) derivatives of the pixels by NAMES."""
        x, y, _ = _rays(points)
        r2, _, dx, dy = self._bent(x, y)
        found = np.zeros((*x.shape, 2, len(NAMES)))
        found[..., 0, 0], found[..., 1, 1] = dx, dy
        found[..., 0, 2] = found[..., 1, 3] = 1.0
        by_x = [x * r2, x * r2**2, 2.0 * x * y, r2 + 2.0 * x * x, x * r2**3]
        by_y = [y * r2, y * r2**2, r2 + 2.0 * y * y, 2.0 * x * y, y * r2**3]
        found[..., 4:] = self.matrix[:2, :2] @ np.stack(
            [np.stack(by_x, axis=-1), np.stack(by_y, axis=-1)], axis=-2
        )
        return found

    def sees(self, pixels: np.ndarray, margin: float = 0.0) -> np.ndarray:
        """(..., 2) -> (...): whether they lie within the picture, that far from its edge."""
        inside = (pixels >= margin) & (pixels <= np.array([self.width, self.height]) - 1 - margin)
        return np.asarray(inside.all(axis=-1))


def _rays(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(..., 3) [m] -> x and y at a depth of 1, and the depth [m], NaN behind the camera."""
    z = np.where(points[..., 2] > NEAREST, points[..., 2], np.nan)
    return points[..., 0] / z, points[..., 1] / z, z
