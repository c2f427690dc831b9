"""Forward kinematics that gradients flow through, by the product of exponentials (Brockett 1984).

    T(q) = exp(S_1 q_1) ... exp(S_n q_n) T(0)

Joint i moved alone from 0 puts a tool at exp(S_i q_i) T(0): so the screws S are read off the
kinematics that a robot acts by, exactly, and there is no second model.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from vdd_ros.kinematics import Kinematics

STEP = 1.0  # [rad, m] that a joint is moved by to read off its screw
# sin of an angle, below which the angle is its sine but for a part in 10^10 and a series says more
SMALL = 1e-4


class Poses(NamedTuple):
    """positions: (..., N, 3) of N tools [m]; rotations: (..., N, 3, 3); in the base frame."""

    positions: Tensor
    rotations: Tensor


class ForwardKinematics(nn.Module):
    """(..., Da) joint positions [unit] -> Poses, as `Kinematics.forward` has them."""

    screws: Tensor
    positions: Tensor
    rotations: Tensor

    def __init__(self, kinematics: Kinematics, n_joints: int):
        super().__init__()
        self.chain = kinematics.chain
        at_rest = np.zeros((1 + len(self.chain), n_joints))
        at_rest[1 + np.arange(len(self.chain)), self.chain] = STEP
        positions, rotations = kinematics.forward(at_rest)
        screws = [
            [_screw(rotations[0, tool], positions[0, tool], rotation[tool], position[tool])
             for tool in range(positions.shape[1])]
            for position, rotation in zip(positions[1:], rotations[1:], strict=True)
        ]  # fmt: skip
        self.register_buffer("screws", torch.tensor(np.array(screws)))  # (n, N, 6)
        self.register_buffer("positions", torch.tensor(positions[0]))
        self.register_buffer("rotations", torch.tensor(rotations[0]))

    def forward(self, joints: Tensor) -> Poses:
        shape = joints.shape[:-1]
        position, rotation = self.positions, self.rotations
        for column, screw in reversed(list(zip(self.chain, self.screws, strict=True))):
            turn, shift = _exponential(screw, joints[..., column, None, None])
            position = (turn @ position[..., None])[..., 0] + shift
            rotation = turn @ rotation
        return Poses(
            position.expand(*shape, -1, -1), rotation.expand(*shape, *self.rotations.shape)
        )


def rotation_vector(rotation: Tensor) -> Tensor:
    """(..., 3, 3) -> (..., 3): axis times angle [rad], the angle from 0 to pi; at pi there are two
    answers and no gradient."""
    skew = (rotation - rotation.mT) / 2.0
    sine_axis = torch.stack([skew[..., 2, 1], skew[..., 0, 2], skew[..., 1, 0]], dim=-1)
    squared = sine_axis.square().sum(-1, keepdim=True)
    cosine = (rotation.diagonal(dim1=-2, dim2=-1).sum(-1, keepdim=True) - 1.0) / 2.0
    is_small = (squared < SMALL**2) & (cosine > 0.0)
    sine = torch.where(is_small, torch.ones_like(squared), squared).clamp_min(SMALL**4).sqrt()
    stretched = torch.atan2(sine, cosine) / sine
    return torch.where(is_small, 1.0 + squared / 6.0, stretched) * sine_axis


def _screw(
    rotation: np.ndarray, position: np.ndarray, moved: np.ndarray, there: np.ndarray
) -> np.ndarray:
    """(6,) w, v of the motion that takes a pose to another by STEP; w is 0 or of length 1."""
    turn = moved @ rotation.T
    w = rotation_vector(torch.tensor(turn)).numpy() / STEP
    if np.linalg.norm(w) < 0.5:  # a slide
        return np.concatenate([np.zeros(3), (there - position) / STEP])
    w /= np.linalg.norm(w)
    shift, cross = there - turn @ position, _cross(w)
    along = STEP * np.eye(3) + (1 - np.cos(STEP)) * cross + (STEP - np.sin(STEP)) * cross @ cross
    return np.concatenate([w, np.linalg.solve(along, shift)])


def _cross(w: np.ndarray) -> np.ndarray:
    return np.array([[0.0, -w[2], w[1]], [w[2], 0.0, -w[0]], [-w[1], w[0], 0.0]])


def _exponential(screw: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    """(N, 6), (..., 1, 1) -> rotations (..., N, 3, 3) and shifts (..., N, 3)."""
    w, v = screw[:, :3], screw[:, 3:]
    nothing = torch.zeros_like(w[:, 0])
    rows = [nothing, -w[:, 2], w[:, 1], w[:, 2], nothing, -w[:, 0], -w[:, 1], w[:, 0], nothing]
    cross = torch.stack(rows, dim=-1).unflatten(-1, (3, 3))
    twice, one = cross @ cross, torch.eye(3).to(cross)
    once, angle = (cross @ v[..., None])[..., 0], q[..., None]
    turn = one + angle.sin() * cross + (1.0 - angle.cos()) * twice
    again = (cross @ once[..., None])[..., 0]
    return turn, q * v + (1.0 - q.cos()) * once + (q - q.sin()) * again
