"""TasksPlan: simulated tasks, teachers and students, each with several seeds; a file, checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from vdd_ros.acting import ActingRule
from vdd_ros.commands.config_files import config_file, contract_of
from vdd_ros.commands.export import STUDENT_RULE, TEACHER_RULE, RuleChanges
from vdd_ros.commands.sweep.choices import Count, PolicyName, require_choices
from vdd_ros.commands.sweep.tasks.claims import TEACHER
from vdd_ros.commands.sweep.tasks.entries import (
    ActingPlan,
    TaskPlan,
    TaskStudentPlan,
    TeacherPlan,
    require_rule,
)
from vdd_ros.fields import Part
from vdd_ros.policies.encoder import EncoderConfig
from vdd_ros.policies.moe import StudentConfig
from vdd_ros.policies.teacher import TeacherConfig
from vdd_ros.policies.training import TrainingConfig
from vdd_ros.yaml_file import read_yaml

RESERVED = (TEACHER, "teacher-1", "people", "bundles", "results", "rollouts")


class TasksPlan(Part):
    """What to record, train, judge and roll out. Choices of training are given as differences from
    the defaults, the encoder's matter where a contract has images; rollouts: of each policy, with
    the same contexts and seeds for all; ablations:
    further students, and acting: policies, which are compared with these in tables of their own.
    """

    format_version: Literal[1]
    name: str
    tasks: Annotated[dict[str, TaskPlan], Field(min_length=1)]
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]
    rollouts: Count
    teacher: dict[str, Any]
    encoder: dict[str, Any] = {}
    teacher_training: dict[str, Any]
    teachers: Annotated[dict[str, TeacherPlan], Field(min_length=1)]
    student: dict[str, Any]
    student_training: dict[str, Any]
    students: Annotated[dict[PolicyName, TaskStudentPlan], Field(min_length=1)]
    ablations: dict[PolicyName, TaskStudentPlan] = {}
    acting: dict[PolicyName, ActingPlan] = {}

    @model_validator(mode="after")
    def _choices_exist(self) -> TasksPlan:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds repeat: {list(self.seeds)}")
        for name, wanted in self.tasks.items():
            if wanted.held_out >= wanted.demonstrations:
                raise ValueError(f"{name}: nothing is left to train on, hold out fewer")
        choices: list[tuple[type, dict[str, Any]]] = [(TrainingConfig, self.student_training)]
        for task in self.tasks.values():
            choices += [
                (TeacherConfig, self.teacher | task.teacher),
                (StudentConfig, self.student | task.student),
            ]
        for name, teacher in self.teachers.items():
            self._require_tasks(name, teacher.tasks)
            _require_encoder(name, self.encoder | teacher.encoder)
            choices += [
                (TeacherConfig, self.teacher | teacher.config),
                (TrainingConfig, self.teacher_training | teacher.training),
            ]
        methods = {student.method for student in self.every_student.values()}
        for name, teacher in self.teachers.items():
            if unknown := set(teacher.objectives) - methods:
                raise ValueError(f"{name}: no student is by method {sorted(unknown)[0]!r}")
        for name, student in self.every_student.items():
            if not set(student.teachers or ()) <= set(self.teachers):
                raise ValueError(f"{name}: teachers are of {', '.join(self.teachers)}")
            self._require_tasks(name, student.tasks)
            self._require_before(name, student)
            require_rule(name, student.rule, self.usual_rule_of(name))
            for by in student.teachers or self.teachers:
                choices += self.student_of(by, name).choices
        require_choices(choices)
        self._require_names()
        for name, acting in self.acting.items():
            self._require_acting(name, acting)
        return self

    def _require_names(self) -> None:
        names = [*self.students, *self.ablations, *self.acting]
        for name in names:
            if name in RESERVED or names.count(name) > 1:
                raise ValueError(f"{name} is something else's name: choose another")

    def _require_acting(self, name: str, acting: ActingPlan) -> None:
        if acting.of == TEACHER:
            self._require_tasks(name, acting.tasks)
            require_rule(name, acting.rule, TEACHER_RULE)
            return
        if acting.of not in self.every_student:
            raise ValueError(f"{name}: of is {TEACHER} or one of {', '.join(self.every_student)}")
        learnt = {task for task, _ in self._places_of(self.every_student[acting.of])}
        if not set(acting.tasks or ()) <= learnt:
            raise ValueError(
                f"{name}: {acting.of} does not learn all of {list(acting.tasks or ())}"
            )
        require_rule(name, acting.rule, self.usual_rule_of(name))

    def _require_tasks(self, name: str, tasks: tuple[str, ...] | None) -> None:
        for task in tasks or ():
            if task not in self.tasks:
                raise ValueError(f"{name}: task {task!r} is none of {', '.join(self.tasks)}")

    def _require_before(self, name: str, student: TaskStudentPlan) -> None:
        names = list(self.every_student)
        before = names[: names.index(name)]
        if student.visited is None:
            return
        if student.visited.by not in before:
            raise ValueError(f"{name}: visited.by is one of the students above it, {before}")
        by = self.every_student[student.visited.by]
        if not self._places_of(student) <= self._places_of(by):
            raise ValueError(f"{name}: visited.by is a student of the same teachers and tasks")

    def _places_of(self, student: TaskStudentPlan) -> set[tuple[str, str]]:
        """Tasks and teachers that have such a student."""
        return {
            (task, teacher)
            for task in student.tasks or self.tasks
            for teacher in student.teachers or self.teachers
            if task in (self.teachers[teacher].tasks or self.tasks)
        }

    @classmethod
    def from_yaml(cls, path: Path) -> TasksPlan:
        """Read a plan; raises UserError naming the key, value and remedy."""
        return read_yaml(path, cls, "plan")

    @property
    def every_student(self) -> dict[str, TaskStudentPlan]:
        """Ablations as well."""
        return {**self.students, **self.ablations}

    def contract_of(self, task: str, teacher: str | None = None) -> Path:
        """File of the robot's contract, as a task is recorded by it or a teacher observes it."""
        own = None if teacher is None else self.teachers[teacher].contract
        return config_file(own or contract_of(task, self.tasks[task].contract))

    def teachers_of(self, task: str) -> list[str]:
        """Names of the teachers that learn a task."""
        return [name for name, one in self.teachers.items() if task in (one.tasks or self.tasks)]

    def students_of(self, task: str, teacher: str) -> list[str]:
        """Names of the students that a teacher has in a task."""
        return [
            name
            for name, one in self.every_student.items()
            if (task, teacher) in self._places_of(one)
        ]

    def student_of(self, teacher: str, name: str) -> TaskStudentPlan:
        """A student as it is to learn from one of the teachers."""
        wanted = self.every_student[name]
        own = self.teachers[teacher].objectives.get(wanted.method, {})
        return wanted.model_copy(update={"objective": {**own, **wanted.objective}})

    def acting_of(self, task: str, teacher: str) -> list[str]:
        """Names of those of a teacher and its students that act once more, by another rule."""
        students = [TEACHER, *self.students_of(task, teacher)]
        return [
            name
            for name, one in self.acting.items()
            if one.of in students and task in (one.tasks or self.tasks)
        ]

    def run_of(self, policy: str) -> str:
        """Name of whose run a policy acts with: mostly its own."""
        return self.acting[policy].of if policy in self.acting else policy

    def rule_of(self, policy: str) -> RuleChanges:
        """What differs from the usual acting rule."""
        plans: dict[str, Any] = {**self.every_student, **self.acting}
        return RuleChanges(**plans[policy].rule) if policy in plans else RuleChanges()

    def usual_rule_of(self, policy: str) -> ActingRule:
        """By what kind of policy it is, a mixture or one that makes a chunk of noise."""
        student = self.every_student.get(self.run_of(policy))
        return STUDENT_RULE if student is not None and student.is_mixture else TEACHER_RULE

    @property
    def budget(self) -> str:
        """What is going to be done."""
        teachers = students = acting = steps = 0
        for task in self.tasks:
            for teacher in self.teachers_of(task):
                teachers += 1
                own = self.teacher_training | self.teachers[teacher].training
                steps += TrainingConfig(**own).steps
                acting += len(self.acting_of(task, teacher))
                for student in self.students_of(task, teacher):
                    students += 1
                    own = self.student_training | self.every_student[student].training
                    steps += TrainingConfig(**own).steps
        seeds = len(self.seeds)
        policies = seeds * (2 * teachers + students + acting)
        return (
            f"{len(self.tasks)} tasks, {sum(t.demonstrations for t in self.tasks.values()):,} "
            f"demonstrations; {seeds} seeds of {teachers} teachers and {students} students, "
            f"{seeds * steps:,} gradient steps; {policies} cells, {policies * self.rollouts:,} "
            f"rollouts"
        )


def _require_encoder(teacher: str, given: dict[str, Any]) -> None:
    """Raise ValueError for what is no setting of an encoder."""
    try:
        EncoderConfig.from_dict(given)
    except TypeError as error:
        raise ValueError(f"{teacher}: encoder has no such setting ({error})") from None
