"""Jog: joint velocities to joint targets, for robots whose kinematics nobody has told."""

from __future__ import annotations

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.teleop.reading import Reading

ACCELERATION = 0.5  # share of the limits: the gate has no need to overshoot


class Jog:
    """Joints move as fast as asked, within limits of velocity and acceleration, and stop at the
    position limits."""

    def __init__(self, contract: Contract):
        self._lower, self._upper = contract.limit("lower"), contract.limit("upper")
        self._velocity = contract.limit("velocity")
        self._acceleration = ACCELERATION * contract.limit("acceleration")
        self._speed = np.zeros(contract.n_joints)  # (Da,) now [unit/s]

    def begin(self, position: np.ndarray, reading: Reading) -> None:
        """At rest."""
        self._speed = np.zeros_like(position)

    def rest(self, position: np.ndarray, dt: float) -> np.ndarray:
        """Slow down."""
        return self._moved(position, np.zeros_like(position), dt)

    def step(self, position: np.ndarray, reading: Reading, dt: float) -> np.ndarray:
        """The next target (Da,) towards the velocities (Da,) of a reading."""
        return self._moved(position, reading.wish, dt)

    def _moved(self, position: np.ndarray, wish: np.ndarray, dt: float) -> np.ndarray:
        change = np.clip(wish, -self._velocity, self._velocity) - self._speed
        most = self._acceleration * dt
        self._speed = self._speed + np.clip(change, -most, most)
        # an arm that stands outside its limits may come in, and is not thrown in
        lower, upper = np.minimum(self._lower, position), np.maximum(self._upper, position)
        return np.clip(position + self._speed * dt, lower, upper)
