"""Rotations as six numbers, the first two columns of the matrix (Zhou et al. 2019, section 3).

Unlike quaternions and Euler angles they are a continuous function of the rotation, so what is near
in them is near in space and a network has no jump to learn. Gram-Schmidt gives the matrix back, of
any six numbers whose two columns are neither zero nor parallel.
"""

from __future__ import annotations

import numpy as np

# Length of a column, and sine of the angle between the two, below which they say no direction.
# Those of a rotation are 1.
DEGENERATE = 1e-3


class DegenerateRotation(ValueError):
    """Six numbers that stand for no rotation: a column of zeros, or two that are parallel."""


def six_of(rotations: np.ndarray) -> np.ndarray:
    """(..., 3, 3) rotation matrices -> (..., 6): first column, then second."""
    columns = np.swapaxes(rotations[..., :2], -1, -2)
    return columns.reshape(*rotations.shape[:-2], 6)


def rotation_of(six: np.ndarray) -> np.ndarray:
    """(..., 6) finite numbers -> (..., 3, 3) rotation matrices.

    With columns a1 and a2 (Zhou et al. 2019, equation 15): b1 = N(a1), b2 = N(a2 - (b1 . a2) b1),
    b3 = b1 x b2, where N makes the length one. Raises DegenerateRotation.
    """
    b1 = _direction(six[..., :3])
    a2 = _direction(six[..., 3:])
    # of two directions, what is left of the second is as long as the sine of their angle
    b2 = _direction(a2 - (b1 * a2).sum(-1, keepdims=True) * b1)
    # once more: where they are nearly parallel, rounding has left a little of the first
    b2 = _direction(b2 - (b1 * b2).sum(-1, keepdims=True) * b1)
    return np.stack([b1, b2, np.cross(b1, b2)], axis=-1)


def _direction(vectors: np.ndarray) -> np.ndarray:
    """(..., 3) -> (..., 3) of length one, also where a square would overflow."""
    largest = np.abs(vectors).max(-1, keepdims=True)
    scaled = vectors / np.maximum(largest, DEGENERATE)
    length = np.linalg.norm(scaled, axis=-1, keepdims=True)
    if (length * np.maximum(largest, DEGENERATE) < DEGENERATE).any():
        raise DegenerateRotation("six numbers stand for no rotation: zero or parallel columns")
    return scaled / length
