"""The entries of a TasksPlan: a task, a teacher, a student, a policy that acts by another rule."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from vdd_ros.acting import ActingRule
from vdd_ros.commands.export import RuleChanges
from vdd_ros.commands.sweep.choices import Count, StudentPlan, require_choices
from vdd_ros.errors import UserError
from vdd_ros.fields import Part


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
    """config, encoder and training: what differs from the plan's; objectives: what differs for its
    students by a method, such as how noise levels are drawn; tasks: None for all; contract: what
    it observes of the tasks' recordings, None for all that their contracts do.
    """

    config: dict[str, Any] = {}
    encoder: dict[str, Any] = {}
    contract: Path | None = None
    training: dict[str, Any] = {}
    objectives: dict[str, dict[str, Any]] = {}
    tasks: tuple[str, ...] | None = None


class VisitedPlan(Part):
    """by: name of a student above; it drives the arm so often, and what it sees is distilled on."""

    by: str
    episodes: Count


class TaskStudentPlan(StudentPlan):
    """teachers: names of those of the plan that have such a student, None for all; tasks: None for
    all of those teachers'; rule: what differs from the usual acting rule, see ActingRule.
    """

    teachers: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    tasks: tuple[str, ...] | None = None
    visited: VisitedPlan | None = None
    rule: dict[str, Any] = {}


class ActingPlan(Part):
    """A run that acts once more by another rule, so that nothing is trained.

    of: name of the student, or teacher; rule: what differs from the usual acting rule, also where
    that student has one of its own; tasks: None for all that it learns.
    """

    of: str
    rule: Annotated[dict[str, Any], Field(min_length=1)]
    tasks: tuple[str, ...] | None = None


def require_rule(name: str, rule: dict[str, Any], usual: ActingRule) -> None:
    """Raises ValueError for what is no difference from the usual acting rule."""
    require_choices([(RuleChanges, rule)])
    try:
        RuleChanges(**rule).of(usual)
    except UserError as error:
        raise ValueError(f"{name}: {error}") from None
