"""Classifier-free guidance: away from what is done whatever is observed (Ho and Salimans 2021).

    D_w(x; sigma, o) = D(x; sigma, o) + w (D(x; sigma, o) - D(x; sigma))

w = 0 is no guidance. Other papers call 1 + w what is w here. A policy has few things that it can
leave out of what it observes, a goal above all; guidance makes modes narrower and changes their
weights, which a policy rarely wants: w is 0 wherever nobody says otherwise.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from vdd_ros.errors import UserError
from vdd_ros.policies.denoiser import ScoreModel


@runtime_checkable
class Guidable(ScoreModel, Protocol):
    """A teacher that also knows the mean of clean chunks over all observations."""

    def denoise_blind(self, x: Tensor, sigma: Tensor) -> Tensor:
        """(B, D), (B,) or (1,) -> (B, D): as `denoise`, for no observation in particular."""
        ...


class GuidedTeacher:
    """A teacher of observations with w as their last number: two calls of its own teacher each."""

    def __init__(self, teacher: Guidable):
        self.teacher = teacher

    def denoise(self, x: Tensor, sigma: Tensor, cond: Tensor) -> Tensor:
        """(B, D), (B,) or (1,), (B, C + 1) -> (B, D)."""
        clean = self.teacher.denoise(x, sigma, cond[:, :-1])
        return clean + cond[:, -1:] * (clean - self.teacher.denoise_blind(x, sigma))


def guided(teacher: ScoreModel) -> GuidedTeacher:
    """Raises UserError for a teacher that knows nothing without an observation."""
    if not isinstance(teacher, Guidable):
        raise UserError(
            "this teacher was never trained without an observation, so there is nothing to guide "
            "it away from: leave guidance at 0, or choose a method without it, such as kd or vsd"
        )
    return GuidedTeacher(teacher)


def with_scale(cond: Tensor, scale: Tensor | float) -> Tensor:
    """(B, C) -> (B, C + 1): observations with w, one for all or (B,)."""
    return torch.cat([cond, torch.as_tensor(scale).to(cond).expand(len(cond))[:, None]], dim=1)
