"""Poses of objects as a policy sees them: positions, and headings without a jump at 180 degrees."""

from __future__ import annotations

import numpy as np


def fields_of_poses(poses: np.ndarray) -> dict[str, np.ndarray]:
    """(N, 7) position [m] and quaternion x, y, z, w of each object -> its numbers object by object.

    position: (3 N,) [m]; heading: (2 N,) cosine and sine of the angle about z of each object's own
    x axis, shorter than one where that axis does not lie in the plane. A quaternion and its
    negative are the same heading; of a length other than one, they are as if it had been one.
    """
    x, y, z, w = poses[:, 3:].T
    with np.errstate(invalid="ignore", divide="ignore"):  # a quaternion of zeros is none: NaN
        twice = 2.0 / (poses[:, 3:] ** 2).sum(1)
        heading = np.stack([1.0 - twice * (y**2 + z**2), twice * (x * y + z * w)], axis=1)
    return {"position": poses[:, :3].ravel(), "heading": heading.ravel()}


def pose_array(message) -> np.ndarray:
    """A PoseArray of any library as (N, 7): position [m] and quaternion x, y, z, w."""
    return np.array(
        [
            (*_values(pose.position, "xyz"), *_values(pose.orientation, "xyzw"))
            for pose in message.poses
        ],
        dtype=np.float64,
    ).reshape(-1, 7)


def _values(part, names: str) -> tuple[float, ...]:
    return tuple(getattr(part, name) for name in names)


def poses_of_fields(position: np.ndarray, heading: np.ndarray) -> np.ndarray:
    """(N, 3 n) [m] and (N, 2 n) of n objects -> (N, n, 7) position and quaternion x, y, z, w.

    Of all orientations with a heading it is the one without roll, its own x axis not pointing up;
    where the heading is longer than one, of the unit heading.
    """
    rows = len(position)
    position, heading = position.reshape(rows, -1, 3), heading.reshape(rows, -1, 2)
    half_yaw = 0.5 * np.arctan2(heading[..., 1], heading[..., 0])
    half_pitch = 0.5 * np.arccos(np.minimum(np.hypot(heading[..., 0], heading[..., 1]), 1.0))
    (sy, cy), (sp, cp) = (
        (np.sin(half_yaw), np.cos(half_yaw)),
        (np.sin(half_pitch), np.cos(half_pitch)),
    )
    quat_xyzw = np.stack([-sy * sp, cy * sp, sy * cp, cy * cp], axis=-1)
    return np.concatenate([position, quat_xyzw], axis=-1)
