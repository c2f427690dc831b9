"""Rigid motions as (..., 4, 4) matrices; T_a_b is the pose of b in a, p_a = T_a_b p_b.

Twists are (..., 6): translation [m], then rotation [rad] as a rotation vector.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

SMALL = 1e-4  # [rad] below which the series are exact to rounding


def pose(rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """(..., 3, 3) and (..., 3) -> (..., 4, 4)"""
    shape = np.broadcast_shapes(rotation.shape[:-2], translation.shape[:-1])
    found = np.zeros((*shape, 4, 4))
    found[..., :3, :3], found[..., :3, 3], found[..., 3, 3] = rotation, translation, 1.0
    return found


def inverse(poses: np.ndarray) -> np.ndarray:
    """(..., 4, 4) -> (..., 4, 4): T_b_a of T_a_b."""
    turned = np.swapaxes(poses[..., :3, :3], -1, -2)
    return pose(turned, -(turned @ poses[..., :3, 3:])[..., 0])


def moved(poses: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (..., N, 3) of b in a, for poses (..., 4, 4) T_a_b."""
    return points @ np.swapaxes(poses[..., :3, :3], -1, -2) + poses[..., None, :3, 3]


def skew(vectors: np.ndarray) -> np.ndarray:
    """(..., 3) -> (..., 3, 3) with skew(a) @ b = a x b."""
    x, y, z = np.moveaxis(vectors, -1, 0)
    zero = np.zeros_like(x)
    rows = [zero, -z, y, z, zero, -x, -y, x, zero]
    return np.stack(rows, axis=-1).reshape(*vectors.shape[:-1], 3, 3)


def exp(twists: np.ndarray) -> np.ndarray:
    """Twists (..., 6) -> (..., 4, 4): exp of [[w]x v; 0 0]."""
    v, w = twists[..., :3], twists[..., 3:]
    return pose(exp_rotation(w), (left_jacobian(w) @ v[..., None])[..., 0])


def exp_rotation(vectors: np.ndarray) -> np.ndarray:
    """Rotation vectors (..., 3) [rad] -> (..., 3, 3)."""
    turned = Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix()
    return turned.reshape(*vectors.shape, 3)


def left_jacobian(vectors: np.ndarray) -> np.ndarray:
    """(..., 3) [rad] -> (..., 3, 3) J: Exp(w + dw) = Exp(J dw) Exp(w) to first order."""
    angle = np.linalg.norm(vectors, axis=-1)[..., None, None]
    squared, near = angle**2, angle < SMALL
    safe = np.where(near, 1.0, angle)
    b = np.where(near, 0.5 - squared / 24.0, (1.0 - np.cos(safe)) / safe**2)
    c = np.where(near, 1.0 / 6.0 - squared / 120.0, (1.0 - np.sin(safe) / safe) / safe**2)
    k = skew(vectors)
    return np.eye(3) + b * k + c * (k @ k)


def log(poses: np.ndarray) -> np.ndarray:
    """(..., 4, 4) -> twists (..., 6), of angles up to pi."""
    w = log_rotation(poses[..., :3, :3])
    angle = np.linalg.norm(w, axis=-1)[..., None, None]
    near = angle < SMALL
    safe = np.where(near, 1.0, angle)
    half = safe / 2.0
    d = np.where(near, 1.0 / 12.0 + angle**2 / 720.0, (1.0 - half / np.tan(half)) / safe**2)
    k = skew(w)
    back = np.eye(3) - 0.5 * k + d * (k @ k)
    return np.concatenate([(back @ poses[..., :3, 3:])[..., 0], w], axis=-1)


def log_rotation(rotations: np.ndarray) -> np.ndarray:
    """(..., 3, 3) -> rotation vectors (..., 3) [rad]."""
    flat = rotations.reshape(-1, 3, 3)
    return Rotation.from_matrix(flat).as_rotvec().reshape(*rotations.shape[:-2], 3)


def angle_between(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Angles (...) [rad] between poses (..., 4, 4)."""
    turned = np.swapaxes(first[..., :3, :3], -1, -2) @ second[..., :3, :3]
    return np.linalg.norm(log_rotation(turned), axis=-1)


def distance_between(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Distances (...) [m] between poses (..., 4, 4)."""
    return np.linalg.norm(first[..., :3, 3] - second[..., :3, 3], axis=-1)


def quat_xyzw(matrix: np.ndarray) -> np.ndarray:
    """(4, 4) -> (4,), w not negative."""
    found = Rotation.from_matrix(matrix[:3, :3]).as_quat()
    return found if found[3] >= 0.0 else -found


def mean_pose(poses: np.ndarray) -> np.ndarray:
    """(N, 4, 4) -> (4, 4): mean translation and the rotation nearest to all (chordal)."""
    turned = Rotation.from_matrix(poses[:, :3, :3]).mean().as_matrix()
    return pose(turned, poses[:, :3, 3].mean(axis=0))
