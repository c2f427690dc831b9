"""What objectives have in common that say how far a chunk is from the one that it should be."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch
from torch import Tensor

from vdd_ros.errors import UserError
from vdd_ros.policies.objectives.few_step import FewStep

SpaceName = Literal["normalised", "tool", "latent"]
# found, aimed at (B, R) and their observations (B, C) -> (B, M), as long as they are apart
Difference = Callable[[Tensor, Tensor, Tensor], Tensor]
C = TypeVar("C", bound="Compared")


@dataclass(frozen=True)
class Compared(FewStep):
    """space: what chunks are compared in: the network's units, poses of tools (with --kinematics)
    or a code that an autoencoder makes of a chunk; share: of the squared distance that is of that
    space, the rest being of the network's units, without which nothing holds what a space does not
    see, such as an elbow."""

    space: SpaceName = "normalised"
    share: float = 0.9

    def __post_init__(self):
        if not 0.0 < self.share <= 1.0:
            raise ValueError(f"share is {self.share}; it is above 0 and at most 1")

    def within(self: C, difference: Difference) -> C:
        """The same objective, which compares chunks by that; its settings stay what they are."""
        made = copy.copy(self)
        object.__setattr__(made, "_difference", difference)
        return made

    def difference(self, found: Tensor, target: Tensor, cond: Tensor) -> Tensor:
        """(B, R), (B, R), (B, C) -> (B, M), whose length is the distance of two chunks."""
        if self.space == "normalised":
            return found - target
        if "_difference" not in self.__dict__:
            raise UserError(
                f"space {self.space} is of a robot's actions, and here are none: take normalised"
            )
        there = self.__dict__["_difference"](found, target, cond)
        return _both(there, found - target, self.share)

    def mean_square(self, found: Tensor, target: Tensor, cond: Tensor) -> Tensor:
        """Of the rows' squared distances, per number of a chunk."""
        squared = self.difference(found, target, cond).square().sum(1)
        return squared.mean() / found.shape[1]


def _both(there: Tensor, here: Tensor, share: float) -> Tensor:
    """(B, M + R): a difference whose square is `share` of the one's and the rest of the other's."""
    return torch.cat([share**0.5 * there, (1.0 - share) ** 0.5 * here], dim=1)
