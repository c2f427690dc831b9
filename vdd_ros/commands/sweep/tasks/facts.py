"""What a plan says of each policy of one teacher in one task, so that a folder is not mixed with
another plan's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vdd_ros.commands.sweep.same import require_same
from vdd_ros.commands.sweep.tasks.entries import TaskStudentPlan
from vdd_ros.commands.sweep.tasks.plan import TasksPlan
from vdd_ros.commands.sweep.tasks.results import told

Facts = dict[str, Any]


def facts_of(plan: TasksPlan, task: str, seed: int, teacher: str) -> dict[str, Facts]:
    """All that decides a policy in out/TASK/SEED/TEACHER, by its name: choices as differences from
    the defaults, wherever in the plan they stand."""
    made = {"teacher": _of_teacher(plan, task, seed, teacher)}
    for name in plan.students_of(task, teacher):
        made[name] = _of_student(plan, task, seed, plan.student_of(teacher, name), made)
    for name in plan.acting_of(task, teacher):
        made[name] = {"of": made[plan.run_of(name)], "rule": plan.acting[name].rule}
    return made


def require_same_plan(plan: TasksPlan, out: Path) -> None:
    """Raise UserError where a run or a policy that is finished in `out` is one of another plan."""
    for task in plan.tasks:
        for seed in plan.seeds:
            for teacher in plan.teachers_of(task):
                folder = out / task / str(seed) / teacher
                facts = facts_of(plan, task, seed, teacher)
                runs = {path.parent.name for path in folder.glob("*/run.json")}
                done = runs | told(folder, "rollouts").keys()
                require_same(folder, facts, [name for name in facts if name in done])


def _of_teacher(plan: TasksPlan, task: str, seed: int, name: str) -> Facts:
    wanted, own = plan.tasks[task], plan.teachers[name]
    return {
        "demonstrations": wanted.demonstrations,
        "held_out": wanted.held_out,
        "contract": str(plan.contract_of(task, name)),
        "config": {**plan.teacher, **wanted.teacher, **own.config},
        "encoder": {**plan.encoder, **own.encoder} or None,
        "training": {**plan.teacher_training, **own.training, "seed": seed},
    }


def _of_student(
    plan: TasksPlan, task: str, seed: int, own: TaskStudentPlan, above: dict[str, Facts]
) -> Facts:
    """above: facts of the teacher and of the students above, on which this one may depend."""
    visited, config = own.visited, {**plan.student, **plan.tasks[task].student, **own.student}
    return {
        "method": own.method,
        "objective": own.objective,
        "student": config if own.is_mixture else None,
        "training": {**plan.student_training, **own.training, "seed": seed},
        "start": own.start,
        "prune": own.prune,
        "pool": own.pool,
        "visited": visited and {"by": above[visited.by], "episodes": visited.episodes},
        "teacher": above["teacher"],
        "rule": own.rule or None,
    }
