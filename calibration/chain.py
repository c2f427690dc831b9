"""Chain: where joints put the tool, and how it moves with them, as a product of exponentials.

T(q) = exp(S_1 q_1) ... exp(S_n q_n) T(0), with the screws S_j of the joints in the base frame at
q = 0 (Brockett 1984). Whatever tells poses for joints gives a chain: exp(S_j) = T(e_j) T(0)^-1
holds exactly, so a simulator's kinematics are read once and not called in every step of a solver.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vdd_ros.calibration import rigid

STEP = 1.0  # [rad, m]; any below pi is as good


@dataclass(frozen=True)
class Chain:
    """names: (n,) of the joints, from the base on; screws: (n, 6), translation then rotation, in
    the base frame; home: (4, 4) T_base_tool with all joints at zero."""

    names: tuple[str, ...]
    screws: np.ndarray
    home: np.ndarray

    @classmethod
    def of(cls, names: Sequence[str], forward: Callable[[np.ndarray], np.ndarray]) -> Chain:
        """forward: joints (N, n) [rad, m] -> (N, 4, 4) T_base_tool; its joints in an order in which
        none is carried by a later one."""
        poses = forward(np.vstack([np.zeros(len(names)), STEP * np.eye(len(names))]))
        home = poses[0]
        screws = rigid.log(poses[1:] @ rigid.inverse(home)) / STEP
        return cls(tuple(names), screws, home)

    def poses(self, joints: np.ndarray) -> np.ndarray:
        """(N, n) -> (N, 4, 4) T_base_tool."""
        found = np.broadcast_to(self.home, (len(joints), 4, 4))
        for index in reversed(range(len(self.names))):
            found = self._turned(joints, index) @ found
        return found

    def jacobians(self, joints: np.ndarray) -> np.ndarray:
        """(N, n) -> (N, 6, n): the twist in the base frame of a point of the tool that is at the
        base's origin, for each joint; d T = [J dq] T."""
        found = np.empty((len(joints), 6, len(self.names)))
        before = np.broadcast_to(np.eye(4), (len(joints), 4, 4))
        for index, screw in enumerate(self.screws):
            turned, moved = before[:, :3, :3], before[:, :3, 3]
            w = turned @ screw[3:]
            found[:, 3:, index] = w
            found[:, :3, index] = turned @ screw[:3] + np.cross(moved, w)
            before = before @ self._turned(joints, index)
        return found

    def _turned(self, joints: np.ndarray, index: int) -> np.ndarray:
        return rigid.exp(joints[:, index, None] * self.screws[index])
