"""The one interface of the ways from a teacher to a student, and the one way to go them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor

from vdd_ros.policies.denoiser import ScoreModel
from vdd_ros.policies.moe import GaussianMoE
from vdd_ros.policies.training import QUIET, Report, TrainingConfig, train


class Batch(NamedTuple):
    """cond: (B, C) observations; samples: (B, D) one teacher sample each; demos: (B, D) the
    demonstrated chunk; all in normalised units.
    """

    cond: Tensor
    samples: Tensor
    demos: Tensor


class Objective(Protocol):
    """A dataclass of settings, kept in the run, that knows its loss."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def changes_at(self) -> float | None:
        """Progress at which the loss becomes another one, None if it never does."""
        ...

    def loss(
        self,
        student: GaussianMoE,
        teacher: ScoreModel,
        batch: Batch,
        progress: float,
        generator: torch.Generator,
    ) -> Tensor:
        """A scalar whose gradient moves the student; progress runs from 0 to 1 over training."""
        ...


def fit(
    student: GaussianMoE,
    teacher: ScoreModel,
    data: Batch,
    objective: Objective,
    training: TrainingConfig,
    state_file: Path | None = None,
    report: Report = QUIET,
) -> dict[str, Tensor]:
    """Train a student by an objective on batches drawn from `data`; returns averaged weights."""

    def loss_of(module, index, progress, generator):
        batch = Batch(*(part[index] for part in data))
        return objective.loss(module, teacher, batch, progress, generator)

    return train(
        student, loss_of, len(data.cond), training, state_file, report, objective.changes_at
    )
