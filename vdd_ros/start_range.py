"""Where demonstrations began: a policy knows how to go on from there, and from nowhere else."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.errors import UserError


class StartRange(NamedTuple):
    """lower, upper: (Da,) least and largest joint positions at the beginning of a demonstration
    [unit]."""

    lower: np.ndarray
    upper: np.ndarray

    @property
    def middle(self) -> np.ndarray:
        """(Da,) [unit]."""
        return (self.lower + self.upper) / 2.0

    def distance(self, position: np.ndarray) -> np.ndarray:
        """(Da,) how far each joint is outside [unit], 0 inside."""
        return np.maximum(0.0, np.maximum(self.lower - position, position - self.upper))

    def fault(self, position: np.ndarray, tolerance: float, contract: Contract) -> str | None:
        """Which joint is furthest outside, and what to do; None where all are within tolerance."""
        distance = self.distance(position)
        worst = int(distance.argmax())
        if distance[worst] <= tolerance:
            return None
        joint = contract.joints[worst]
        return (
            f"{joint.name} is at {position[worst]:.3f} {joint.unit}, demonstrations began between "
            f"{self.lower[worst]:.3f} and {self.upper[worst]:.3f}: bring the arm within "
            f"{tolerance:g} of that"
        )

    def to_dict(self) -> dict:
        """As plain JSON types; `from_dict` gives it back."""
        return {"lower": self.lower.tolist(), "upper": self.upper.tolist()}

    @classmethod
    def from_dict(cls, raw: object, contract: Contract, where: str) -> StartRange:
        """As saved by `to_dict`; raises UserError for what is no range of the contract's joints."""
        try:
            parts = [np.array(raw[name], dtype=np.float64) for name in ("lower", "upper")]  # type: ignore[index]
        except (KeyError, TypeError, ValueError):
            parts = []
        shape = (contract.n_joints,)
        if not parts or any(one.shape != shape or not np.isfinite(one).all() for one in parts):
            raise UserError(
                f"{where} is no range of {contract.n_joints} joints: export the bundle again"
            )
        return cls(*parts)


def start_range(
    contract: Contract, observations: np.ndarray, episode: np.ndarray
) -> StartRange | None:
    """Of windows (N, To, Do) in order and the episode (N,) that each is of; None where joint
    positions are not observed."""
    joints = contract.observed_joints
    if joints is None:
        return None
    firsts = np.unique(episode, return_index=True)[1]
    positions = observations[firsts, -1, joints].astype(np.float64)
    return StartRange(positions.min(0), positions.max(0))
