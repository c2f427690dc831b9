"""Plan: a file of config/benchmarks/, checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from vdd_ros.commands.sweep.choices import StudentPlan, require_choices
from vdd_ros.errors import UserError
from vdd_ros.fields import Part
from vdd_ros.policies.baselines import BASELINES
from vdd_ros.policies.moe import StudentConfig
from vdd_ros.policies.teacher import TeacherConfig
from vdd_ros.policies.training import TrainingConfig
from vdd_ros.yaml_file import read_yaml

HELD_OUT = "held-out"


class Split(NamedTuple):
    """Names of the episodes that are trained on, and of those that are judged on."""

    train: tuple[str, ...]
    judge: tuple[str, ...]


class Plan(Part):
    """What to train and judge.

    held_out: the last so many episodes are judged on once, and never trained on; folds: of a
    cross-validation over all others, consecutive episodes together. Choices of training are given
    as differences from the defaults.
    """

    format_version: Literal[1]
    name: str
    contract: Path
    held_out: Annotated[int, Field(ge=1)]
    folds: Annotated[int, Field(ge=0)]
    seed: Annotated[int, Field(ge=0)]
    teacher: dict[str, Any]
    teacher_training: dict[str, Any]
    student: dict[str, Any]
    student_training: dict[str, Any]
    students: Annotated[dict[str, StudentPlan], Field(min_length=1)]
    baselines: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _choices_exist(self) -> Plan:
        if self.folds == 1:
            raise ValueError("one fold leaves nothing to train on: write 0 for none, or 2 and more")
        for name in self.baselines:
            if name not in BASELINES:
                raise ValueError(f"baseline {name!r} is none of {', '.join(BASELINES)}")
        choices: list[tuple[type, dict[str, Any]]] = [
            (TeacherConfig, self.teacher),
            (TrainingConfig, self.teacher_training),
            (TrainingConfig, self.student_training),
            (StudentConfig, self.student),
        ]
        for student in self.students.values():
            choices += student.choices
        require_choices(choices)
        return self

    @classmethod
    def from_yaml(cls, path: Path) -> Plan:
        """Read a plan; raises UserError naming the key, value and remedy."""
        return read_yaml(path, cls, "plan")

    @property
    def judged(self) -> list[str]:
        """Everything that a split ends with figures of."""
        return ["people", "teacher", "teacher-1", *self.students, *self.baselines]

    def splits(self, names: tuple[str, ...]) -> dict[str, Split]:
        """By name; raises UserError where there are too few episodes."""
        if len(names) < self.held_out + max(1, self.folds):
            raise UserError(
                f"{len(names)} episodes are too few to hold {self.held_out} out and train on "
                f"{self.folds} folds: import all of them"
            )
        rest, last = names[: -self.held_out], names[-self.held_out :]
        splits = {HELD_OUT: Split(rest, last)}
        if self.folds:
            for number, part in enumerate(np.array_split(np.arange(len(rest)), self.folds), 1):
                fold = tuple(rest[i] for i in part)
                train = tuple(name for name in rest if name not in fold)
                splits[f"fold-{number}"] = Split(train, fold)
        return splits

    def budget(self, splits: dict[str, Split]) -> str:
        """What is going to be done, in gradient steps."""
        teacher = TrainingConfig(**self.teacher_training).steps
        students = [self._student_steps(student) for student in self.students.values()]
        return (
            f"{len(splits)} splits, {len(splits) * len(self.judged)} cells: a teacher of "
            f"{teacher:,} and {len(students)} students of {min(students):,} to "
            f"{max(students):,} gradient steps, {len(splits) * (teacher + sum(students)):,} in all"
        )

    def _student_steps(self, student: StudentPlan) -> int:
        return TrainingConfig(**{**self.student_training, **student.training}).steps
