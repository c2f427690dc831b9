"""The cells of a sweep over tasks: every figure of each policy, of what is told in files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vdd_ros.commands.sweep.tasks_plan import TasksPlan
from vdd_ros.commands.sweep.tasks_results import told
from vdd_ros.policies.metrics_log import read_metrics

NLL = "nll"
LISTS = ("_by_observation", "_by_episode")  # figures that stay in the folder
TEACHER_STEPS = {"teacher": 10, "teacher-1": 1}  # Euler, as bundles run it


class Place(NamedTuple):
    """What a cell is of."""

    task: str
    seed: int
    teacher: str
    policy: str

    def folder(self, out: Path) -> Path:
        """Where its teacher's policies are worked on."""
        return out / self.task / str(self.seed) / self.teacher


def policies_of(plan: TasksPlan, task: str, teacher: str) -> list[str]:
    """Names of all that are rolled out."""
    students = plan.students_of(task, teacher)
    return [*TEACHER_STEPS, *students, *plan.acting_of(task, teacher)]


def places(plan: TasksPlan) -> Iterator[Place]:
    """Of every cell, in the order of the plan."""
    for task in plan.tasks:
        for seed in plan.seeds:
            for teacher in plan.teachers_of(task):
                for policy in policies_of(plan, task, teacher):
                    yield Place(task, seed, teacher, policy)


def finished_cells(plan: TasksPlan, out: Path, command: str) -> list[dict]:
    """Of the policies that are judged, rolled out and timed, in the order of the plan."""
    cells = (_cell(plan, place, out) for place in places(plan))
    return [cell | {"command": command} for cell in cells if cell is not None]


def _cell(plan: TasksPlan, place: Place, out: Path) -> dict | None:
    folder, run = place.folder(out), plan.run_of(place.policy)
    rolled_out = told(folder, "rollouts").get(place.policy)
    judged, latency = (told(folder, kind).get(run) for kind in ("fidelity", "latency"))
    if rolled_out is None or judged is None or latency is None:
        return None
    if len(rolled_out["ways"]) != plan.rollouts:
        return None
    student = plan.every_student.get(run)
    trained = folder / ("teacher" if student is None else run)
    return {
        "benchmark": plan.name,
        "task": place.task,
        "method": place.policy,
        "run": run,
        "objective": student and student.method,
        "ablation": place.policy in plan.ablations or place.policy in plan.acting,
        "teacher": place.teacher,
        "seed": place.seed,
        **rolled_out,
        **{name: value for name, value in judged.items() if not name.endswith(LISTS)},
        "energy_less_nll": _energy_less_nll(judged, told(folder, "fidelity").get(NLL)),
        "nfe": TEACHER_STEPS.get(place.policy, 1),
        "fidelity_nfe": judged["nfe"],  # the teacher is judged by its best sampler
        "experts": student and _experts(trained),
        "latency_us": latency,
        "training_seconds": _training_seconds(trained),
    }


def _energy_less_nll(judged: dict, nll: dict | None) -> dict[str, float] | None:
    """mean and standard error over the same observations of how much farther from the teacher a
    policy is than the student by likelihood; None where there is none."""
    if nll is None:
        return None
    pairs = (one["energy_by_observation"] for one in (judged, nll))
    less = np.subtract(*pairs)
    return {"mean": float(less.mean()), "se": float(less.std(ddof=1) / np.sqrt(len(less)))}


def _experts(run: Path) -> int:
    """As many as are left in it."""
    return json.loads((run / "run.json").read_text())["configs"]["student"]["n_experts"]


def _training_seconds(run: Path) -> float | None:
    """On the wall, as the run's metrics tell it; None where they are gone."""
    lines = read_metrics(run)
    return lines[-1]["seconds"] if lines else None
