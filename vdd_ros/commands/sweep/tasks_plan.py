"""TasksPlan: simulated tasks, teachers and students, each with several seeds; a file, checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from vdd_ros.commands.export import STUDENT_RULE, RuleChanges
from vdd_ros.commands.sweep.choices import Part, StudentPlan, require_choices
from vdd_ros.errors import UserError
from vdd_ros.policies.moe import StudentConfig
from vdd_ros.policies.teacher import TeacherConfig
from vdd_ros.policies.training import TrainingConfig
from vdd_ros.yaml_file import read_yaml

Count = Annotated[int, Field(ge=1)]
RESERVED = ("teacher", "teacher-1", "people", "bundles", "results", "rollouts")


class TaskPlan(Part):
    """demonstrations: recorded by the task's scripted operator; held_out: the last so many are
    never trained on; contract: config/panda_TASK.yaml if not given; teacher, student: what differs
    from the plan's in this task.
    """

    demonstrations: Annotated[int, Field(ge=2)]
    held_out: Count
    contract: Path | None = None
    teacher: dict[str, Any] = {}
    student: dict[str, Any] = {}


class TeacherPlan(Part):
    """config and training: what differs from the plan's; tasks: None for all."""

    config: dict[str, Any] = {}
    training: dict[str, Any] = {}
    tasks: tuple[str, ...] | None = None


class VisitedPlan(Part):
    """by: name of a student above; it drives the arm so often, and what it sees is distilled on."""

    by: str
    episodes: Count


class TaskStudentPlan(StudentPlan):
    """teacher: name of one of the plan's; tasks: None for all of that teacher's; rule: what differs
    from the usual acting rule, see ActingRule.
    """

    teacher: str
    tasks: tuple[str, ...] | None = None
    visited: VisitedPlan | None = None
    rule: dict[str, Any] = {}


class ActingPlan(Part):
    """A student's run that acts once more by another rule, so that nothing is trained.

    of: name of the student; rule: what differs from the usual acting rule, also where that student
    has one of its own; tasks: None for all of that student's.
    """

    of: str
    rule: Annotated[dict[str, Any], Field(min_length=1)]
    tasks: tuple[str, ...] | None = None


class TasksPlan(Part):
    """What to record, train, judge and roll out. Choices of training are given as differences from
    the defaults; rollouts: of each policy, with the same contexts and seeds for all.
    """

    format_version: Literal[1]
    name: str
    tasks: Annotated[dict[str, TaskPlan], Field(min_length=1)]
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]
    rollouts: Count
    teacher: dict[str, Any]
    teacher_training: dict[str, Any]
    teachers: Annotated[dict[str, TeacherPlan], Field(min_length=1)]
    student: dict[str, Any]
    student_training: dict[str, Any]
    students: Annotated[dict[str, TaskStudentPlan], Field(min_length=1)]
    acting: dict[str, ActingPlan] = {}

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
            choices += [
                (TeacherConfig, self.teacher | teacher.config),
                (TrainingConfig, self.teacher_training | teacher.training),
            ]
        for name, student in self.students.items():
            if student.teacher not in self.teachers:
                raise ValueError(f"{name}: teacher is one of {', '.join(self.teachers)}")
            self._require_tasks(name, student.tasks)
            self._require_before(name, student)
            _require_rule(name, student.rule)
            choices += student.choices
        require_choices(choices)
        self._require_names()
        for name, acting in self.acting.items():
            self._require_acting(name, acting)
        return self

    def _require_names(self) -> None:
        for name in (*self.students, *self.acting):
            if name in RESERVED or (name in self.students and name in self.acting):
                raise ValueError(f"{name} is something else's name: choose another")

    def _require_acting(self, name: str, acting: ActingPlan) -> None:
        if acting.of not in self.students:
            raise ValueError(f"{name}: of is one of {', '.join(self.students)}")
        if not set(acting.tasks or ()) <= self._tasks_of(self.students[acting.of]):
            raise ValueError(
                f"{name}: {acting.of} does not learn all of {list(acting.tasks or ())}"
            )
        _require_rule(name, acting.rule)

    def _require_tasks(self, name: str, tasks: tuple[str, ...] | None) -> None:
        for task in tasks or ():
            if task not in self.tasks:
                raise ValueError(f"{name}: task {task!r} is none of {', '.join(self.tasks)}")

    def _require_before(self, name: str, student: TaskStudentPlan) -> None:
        before = list(self.students)[: list(self.students).index(name)]
        if student.visited is None:
            return
        if student.visited.by not in before:
            raise ValueError(f"{name}: visited.by is one of the students above it, {before}")
        by = self.students[student.visited.by]
        if by.teacher != student.teacher or not self._tasks_of(student) <= self._tasks_of(by):
            raise ValueError(f"{name}: visited.by is a student of the same teacher and tasks")

    def _tasks_of(self, student: TaskStudentPlan) -> set[str]:
        every = self.teachers[student.teacher].tasks or tuple(self.tasks)
        return set(every) & set(student.tasks or every)

    @classmethod
    def from_yaml(cls, path: Path) -> TasksPlan:
        """Read a plan; raises UserError naming the key, value and remedy."""
        return read_yaml(path, cls, "plan")

    def contract_of(self, task: str) -> Path:
        """File of the robot's contract."""
        return self.tasks[task].contract or Path(f"config/panda_{task}.yaml")

    def teachers_of(self, task: str) -> list[str]:
        """Names of the teachers that learn a task."""
        return [name for name, one in self.teachers.items() if task in (one.tasks or self.tasks)]

    def students_of(self, task: str, teacher: str) -> list[str]:
        """Names of the students that a teacher has in a task."""
        return [
            name
            for name, one in self.students.items()
            if one.teacher == teacher and task in (one.tasks or self.tasks)
        ]

    def acting_of(self, task: str, teacher: str) -> list[str]:
        """Names of those of these students that act once more, by another rule."""
        students = self.students_of(task, teacher)
        return [
            name
            for name, one in self.acting.items()
            if one.of in students and task in (one.tasks or self.tasks)
        ]

    def run_of(self, policy: str) -> str:
        """Name of the student whose run a policy acts with: mostly its own."""
        return self.acting[policy].of if policy in self.acting else policy

    def rule_of(self, policy: str) -> RuleChanges:
        """What differs from the usual acting rule; nothing for a teacher."""
        plans: dict[str, Any] = {**self.students, **self.acting}
        return RuleChanges(**plans[policy].rule) if policy in plans else RuleChanges()

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
                    own = self.student_training | self.students[student].training
                    steps += TrainingConfig(**own).steps
        seeds = len(self.seeds)
        policies = seeds * (2 * teachers + students + acting)
        return (
            f"{len(self.tasks)} tasks, {sum(t.demonstrations for t in self.tasks.values()):,} "
            f"demonstrations; {seeds} seeds of {teachers} teachers and {students} students, "
            f"{seeds * steps:,} gradient steps; {policies} cells, {policies * self.rollouts:,} "
            f"rollouts"
        )


def _require_rule(name: str, rule: dict[str, Any]) -> None:
    require_choices([(RuleChanges, rule)])
    try:
        RuleChanges(**rule).of(STUDENT_RULE)
    except UserError as error:
        raise ValueError(f"{name}: {error}") from None
