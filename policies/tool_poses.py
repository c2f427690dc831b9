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

    powers: Tensor
    at_zero: Tensor

    def __init__(self, kinematics: Kinematics, n_joints: int):
        super().__init__()
        self.chain = kinematics.chain
        joints = np.zeros((1 + len(self.chain), n_joints))
        joints[1 + np.arange(len(self.chain)), self.chain] = STEP
        positions, rotations = kinematics.forward(joints)
        powers = [
            [_powers(_screw(rotations[0, tool], positions[0, tool], rotation[tool], position[tool]))
             for tool in range(positions.shape[1])]
            for position, rotation in zip(positions[1:], rotations[1:], strict=True)
        ]  # fmt: skip
        at_zero = np.tile(np.eye(4), (positions.shape[1], 1, 1))
        at_zero[:, :3, :3], at_zero[:, :3, 3] = rotations[0], positions[0]
        self.register_buffer("powers", torch.tensor(np.array(powers)))  # (n, N, 12, 4)
        self.register_buffer("at_zero", torch.tensor(at_zero))

    def forward(self, joints: Tensor) -> Poses:
        rows = joints.reshape(-1, joints.shape[-1]).mT.contiguous()
        count = rows.shape[1]  # B, last, as processors like it best
        tools = self.at_zero[..., None].expand(-1, -1, -1, count)  # (N, 4, 4, B)
        for column, powers in reversed(list(zip(self.chain, self.powers, strict=True))):
            q = rows[column]
            moved = (powers @ tools.flatten(2)).unflatten(2, (4, count))
            once, twice, thrice = moved.chunk(3, dim=1)
            tools = tools + q * once + (1.0 - q.cos()) * twice + (q - q.sin()) * thrice
        found = tools[:, :3].movedim(-1, 0).unflatten(0, joints.shape[:-1])
        return Poses(found[..., 3], found[..., :3])


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


def _powers(screw: np.ndarray) -> np.ndarray:
    """(6,) -> (12, 4): S, S^2 and S^3 of the twist S. As w is of length 1, or 0,

    exp(S q) = 1 + q S + (1 - cos q) S^2 + (q - sin q) S^3
    """
    twist = np.zeros((4, 4))
    twist[:3, :3], twist[:3, 3] = _cross(screw[:3]), screw[3:]
    twice = twist @ twist
    return np.concatenate([twist, twice, twist @ twice])
