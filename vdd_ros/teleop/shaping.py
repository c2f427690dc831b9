"""What becomes of an axis, of a speed, of a frame that a twist moves: small functions of arrays."""

from __future__ import annotations

import numpy as np


def beyond_deadband(values: np.ndarray, deadband: float) -> np.ndarray:
    """Axes (n,) -> (n,) within -1 and 1: 0 within the deadband, from there on evenly to 1, so that
    nothing jumps at its edge."""
    clipped = np.clip(values, -1.0, 1.0)
    return np.sign(clipped) * np.maximum(np.abs(clipped) - deadband, 0.0) / (1.0 - deadband)


def slowed(twist: np.ndarray, linear: float, angular: float) -> np.ndarray:
    """A twist (6,) [m/s, rad/s] in its own direction, not faster than either."""
    speeds = np.linalg.norm(twist[:3]), np.linalg.norm(twist[3:])
    return twist / max(1.0, speeds[0] / linear, speeds[1] / angular)


def hastened(twist: np.ndarray, wish: np.ndarray, linear: float, angular: float) -> np.ndarray:
    """A twist (6,) changed towards another by no more than that [m/s, rad/s], straight."""
    change = wish - twist
    parts = np.array([np.linalg.norm(change[:3]), np.linalg.norm(change[3:])])
    most = np.array([linear, angular])
    if (parts <= most).all():
        return wish
    return twist + change * float((most / np.maximum(parts, most)).min())


def moved_by(
    position: np.ndarray, rotation: np.ndarray, twist: np.ndarray, dt: float, in_tool: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Where a frame at position (3,) [m] and rotation (3, 3) is after `dt` [s] of a twist (6,) of
    its origin, linear [m/s] then angular [rad/s].

    In the base's directions: p + v dt, exp(w dt) R. In the tool's own, which turn with it:
    T exp(xi dt) (Lynch and Park 2017, Modern Robotics, section 3.3.3).
    """
    way, turn = twist[:3] * dt, twist[3:] * dt
    if not in_tool:
        return position + way, turned(turn) @ rotation
    return position + rotation @ _bent(turn) @ way, rotation @ turned(turn)


def _cross(vector: np.ndarray) -> np.ndarray:
    x, y, z = vector
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])


def turned(turn: np.ndarray) -> np.ndarray:
    """The rotation (3, 3) of a rotation vector (3,) [rad] (Rodrigues)."""
    angle, cross = float(np.linalg.norm(turn)), _cross(turn)
    # sinc, so that nothing is divided by an angle of zero
    half = np.sinc(angle / (2.0 * np.pi))
    return np.eye(3) + np.sinc(angle / np.pi) * cross + 0.5 * half**2 * cross @ cross


def _bent(turn: np.ndarray) -> np.ndarray:
    """(3, 3) G with exp(xi) = (exp(w), G v): the way of a frame that turns while it moves."""
    angle, cross = float(np.linalg.norm(turn)), _cross(turn)
    half = np.sinc(angle / (2.0 * np.pi))
    third = 1.0 / 6.0 if angle < 1e-4 else (angle - np.sin(angle)) / angle**3
    return np.eye(3) + 0.5 * half**2 * cross + third * cross @ cross
