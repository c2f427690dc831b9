"""Copies of a student that it learns from, kept with a training's state."""

from __future__ import annotations

import copy

import torch
from torch import nn

from vdd_ros.policies.denoiser import Denoiser


class PhaseTeacher(nn.Module):
    """The teacher of a phase: a student as it was when the phase before ended."""

    def __init__(self, student: Denoiser):
        super().__init__()
        self.denoiser = copy.deepcopy(student).requires_grad_(False)
        self.register_buffer("phase", torch.zeros((), dtype=torch.long))

    def begin(self, phase: int, student: nn.Module) -> None:
        """Be the student as it is now, unless this phase has begun already."""
        if int(self.phase) < phase:
            self.denoiser.load_state_dict(student.state_dict())
            self.phase.fill_(phase)


class Follower(nn.Module):
    """A self-target: a running average of a student, at its heels. One as slow as the average that
    is kept in the end would hold the student where it began."""

    def __init__(self, student: Denoiser, decay: float):
        super().__init__()
        self.denoiser = copy.deepcopy(student).requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def follow(self, student: nn.Module) -> None:
        """Once a step."""
        pairs = zip(self.denoiser.parameters(), student.parameters(), strict=True)
        for own, moved in pairs:
            own.lerp_(moved, 1.0 - self.decay)
