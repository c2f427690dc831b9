"""What distilling costs: wall seconds and teacher calls, checkpoint by checkpoint.

What counts is all that a method needs of a trained teacher: windows, the samples that are drawn of
it where the method reads samples, and the training itself. Judging does not count.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import NamedTuple

from torch import Tensor

from vdd_ros.errors import UserError
from vdd_ros.policies.denoiser import ScoreModel
from vdd_ros.policies.distil import make_student
from vdd_ros.policies.judge import Judge
from vdd_ros.policies.moe import GaussianMoE, StudentConfig
from vdd_ros.policies.objectives import Objective, fit
from vdd_ros.policies.pool import PoolConfig, fresh_pool
from vdd_ros.policies.runs import Teacher
from vdd_ros.policies.teacher import SamplerConfig
from vdd_ros.policies.training import QUIET, REPORT_EVERY, Report, TrainingConfig

FIGURES = ("seconds", "teacher_calls")  # of a checkpoint, that are costs


class Checkpoint(NamedTuple):
    """What was spent until after `step` steps [wall seconds; network evaluations of one chunk], and
    the energy distance of the averaged student to the teacher."""

    step: int
    seconds: float
    teacher_calls: int
    energy_distance: float


@dataclass(frozen=True)
class Setup:
    """What methods that are compared have in common, as in `distil`; every: steps between
    checkpoints, the last step being one as well; pool: of methods that learn from demonstrations as
    many recorded observations. Raises UserError where there would be no checkpoint."""

    student: StudentConfig
    training: TrainingConfig
    every: int = 250
    pool: PoolConfig = PoolConfig()
    sampler: SamplerConfig = SamplerConfig()
    allow_larger: bool = False

    def __post_init__(self):
        if self.every < 1 or self.every % REPORT_EVERY:
            raise UserError(
                f"a checkpoint every {self.every} steps: use a multiple of {REPORT_EVERY}, the "
                "steps after which a training reports"
            )


class CountedTeacher:
    """A teacher that counts; calls: chunks that it has denoised, a batch of B being B of them."""

    def __init__(self, teacher: ScoreModel):
        self.teacher, self.calls = teacher, 0

    def denoise(self, x: Tensor, sigma: Tensor, cond: Tensor) -> Tensor:
        """(B, D), (B,), (B, C) -> (B, D), as the teacher does."""
        self.calls += len(x)
        return self.teacher.denoise(x, sigma, cond)


class Stopwatch:
    """Runs from when it is made, but while it is held. clock: of a time [s]."""

    def __init__(self, clock: Callable[[], float]):
        self.clock, self.began, self.left_out = clock, clock(), 0.0

    @contextmanager
    def held(self) -> Iterator[float]:
        """Gives the seconds so far; those until the end of the block are left out."""
        now = self.clock()
        yield now - self.began - self.left_out
        self.left_out += self.clock() - now


def cost_curve(
    teacher: Teacher,
    judge: Judge,
    objective: Objective,
    setup: Setup,
    report: Report = QUIET,
    clock: Callable[[], float] = time.monotonic,
) -> list[Checkpoint]:
    """Distil as `distil` does, from random centres and without samples that were kept before.

    Raises UserError for a student of more parameters than its teacher unless it is allowed.
    """
    stopwatch, counted = Stopwatch(clock), CountedTeacher(teacher.denoiser)
    training = setup.training
    student = make_student(teacher, setup.student, training.seed, setup.allow_larger)
    asked = counted if objective.needs_samples else None
    pool = replace(setup.pool, between=0.0) if objective.needs_demos else setup.pool
    data = fresh_pool(teacher, asked, pool, setup.sampler, training.seed)
    checkpoints: list[Checkpoint] = []

    def watch(step: int, averaged: GaussianMoE) -> None:
        if step % setup.every and step != training.steps:
            return
        with stopwatch.held() as seconds:
            distance = judge.energy_distance_of(averaged)
        checkpoints.append(Checkpoint(step, seconds, counted.calls, distance))

    fit(student, counted, data, objective, training, report=report, watch=watch)
    return checkpoints


def first_as_close(curve: Sequence[Checkpoint], distance: float) -> Checkpoint | None:
    """The first checkpoint at that energy distance or below it."""
    return next((one for one in curve if one.energy_distance <= distance), None)


def cost_ratios(there: Checkpoint | None, whole: Checkpoint) -> dict[str, float | None]:
    """What was spent until `there` over what was spent on the whole, None for never there."""
    if there is None:
        return dict.fromkeys(FIGURES)
    return {name: getattr(there, name) / getattr(whole, name) for name in FIGURES}
