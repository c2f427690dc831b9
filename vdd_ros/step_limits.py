"""StepLimits: what a contract allows from one command to the next, and whether commands keep to it.

Limits hold for commands as they are sent, one control period dt apart, so they are limits of finite
differences: of first differences v_max dt, of second a_max dt^2, of third j_max dt^3.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vdd_ros.contract import Contract

# What rounding may add to any of them [unit]: positions are a few rad, of which a third difference
# of doubles is right to 1e-14.
TOLERANCE = 1e-9


class StepLimits(NamedTuple):
    """lower, upper: (Da,) [unit]; move, change, bend: (Da,) largest first, second and third
    difference of commands [unit], bend inf where the contract has no limit of jerk."""

    lower: np.ndarray
    upper: np.ndarray
    move: np.ndarray
    change: np.ndarray
    bend: np.ndarray

    @classmethod
    def of(cls, contract: Contract) -> StepLimits:
        """The limits of a contract at its control rate."""
        dt = 1.0 / contract.rates.control_hz
        unlimited = np.full(contract.n_joints, np.inf)
        return cls(
            contract.limit("lower"),
            contract.limit("upper"),
            contract.limit("velocity") * dt,
            contract.limit("acceleration") * dt**2,
            contract.limit("jerk") * dt**3 if contract.limits_jerk else unlimited,
        )

    def excess(self, start: np.ndarray, commands: np.ndarray) -> dict[str, float]:
        """By how much `commands` (N, Da), sent from rest at `start` (Da,), are beyond each limit
        [unit]; not above `TOLERANCE` where they keep to it, inf where one is not finite.

        An arm that starts outside its range may be as far outside, and no further.
        """
        path = np.concatenate([np.broadcast_to(start, (3, len(start))), commands])
        if not np.isfinite(path).all():
            return dict.fromkeys(("position", "velocity", "acceleration", "jerk"), np.inf)
        lower, upper = np.minimum(self.lower, start), np.maximum(self.upper, start)
        beyond = {"position": np.maximum(lower - path, path - upper)}
        for order, name in enumerate(("velocity", "acceleration", "jerk"), 1):
            beyond[name] = np.abs(np.diff(path, order, axis=0)) - self[1 + order]
        return {name: float(values.max()) for name, values in beyond.items()}
