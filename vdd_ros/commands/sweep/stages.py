"""What every sweep does: a teacher, a student, calls that are timed; what is there is kept.

Choices are those of a plan: differences from the defaults of `vdd train` and `vdd distill`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from vdd_ros.commands.distill import TRAINING as STUDENT_TRAINING
from vdd_ros.commands.progress import progress
from vdd_ros.commands.sweep.choices import StudentPlan
from vdd_ros.commands.train import TRAINING as TEACHER_TRAINING
from vdd_ros.contract import Contract
from vdd_ros.device import processor
from vdd_ros.episode import EpisodeStore
from vdd_ros.policies.distil import distil
from vdd_ros.policies.distil_few_step import distil_few_step
from vdd_ros.policies.encoder import EncoderConfig
from vdd_ros.policies.learn import train_teacher
from vdd_ros.policies.moe import StudentConfig
from vdd_ros.policies.objectives import FewStep
from vdd_ros.policies.objectives.settings import objective_of
from vdd_ros.policies.pool import PoolConfig
from vdd_ros.policies.runs import AnyStudent, Teacher, load_any_student, load_teacher
from vdd_ros.policies.teacher import TeacherConfig
from vdd_ros.policies.window_cache import cached_windows
from vdd_ros.timing import Timing, in_turns, pinned_to_one_core

BLOCKS, CALLS = 20, 250  # docs/metrics.md: 5,000 calls, in turns
Choices = Mapping[str, Any]
Name = TypeVar("Name")


def teacher_in(
    folder: Path,
    contract: Contract,
    store: EpisodeStore,
    names: Sequence[str],
    config: Choices,
    training: Choices,
    held_out: int,
    encoder: EncoderConfig | None = None,
) -> Teacher:
    """The teacher in `folder`, trained on all but the last `held_out` of these episodes unless it
    has been."""
    if (folder / "run.json").exists():
        return load_teacher(folder)
    chosen = TeacherConfig(**config)
    with progress(f"reading episodes of {store.folder}") as report:
        source = cached_windows(store, names, contract, chosen.sizes, report=report)
    with progress(f"teacher in {folder}") as report:
        return train_teacher(
            contract,
            source,
            folder,
            chosen,
            replace(TEACHER_TRAINING, **training),
            held_out,
            report,
            encoder=encoder,
        )


def student_in(
    folder: Path,
    teacher: Teacher,
    wanted: StudentPlan,
    config: Choices,
    training: Choices,
    visited: Callable[[], np.ndarray | None] = lambda: None,
) -> AnyStudent:
    """The student in `folder`, distilled unless it has been. config and training: what the plan
    says of all its students, from which `wanted` differs; visited: as `distil` has it."""
    if (folder / "run.json").exists():
        return load_any_student(folder)
    objective = objective_of(wanted.method, wanted.objective, teacher.config)
    chosen, pool = replace(STUDENT_TRAINING, **{**training, **wanted.training}), wanted.pool
    with progress(f"student in {folder}") as report:
        if isinstance(objective, FewStep):
            return distil_few_step(
                teacher,
                folder,
                wanted.method,
                chosen,
                objective,
                PoolConfig(**pool),
                report=report,
                allow_larger=wanted.allow_larger,
                visited=visited(),
            )
        return distil(
            teacher,
            folder,
            wanted.method,
            StudentConfig(**{**config, **wanted.student}),
            chosen,
            objective,
            PoolConfig(**pool),
            report=report,
            allow_larger=wanted.allow_larger,
            start=wanted.start,
            prune=wanted.prune,
            visited=visited(),
        )


def timed(calls: Mapping[Name, Callable[[], object]]) -> dict[Name, Timing]:
    """Every call on one core, in turns."""
    with pinned_to_one_core():
        return in_turns(calls, time.perf_counter_ns, BLOCKS, CALLS)


def hardware() -> str:
    """What figures were measured on."""
    return f"{processor()}, {os.cpu_count()} cores"
