"""The cells of a sweep over tasks: every figure of each policy, of what is told in files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vdd_ros.commands.sweep.cells import read_cells
from vdd_ros.commands.sweep.same import digest_of
from vdd_ros.commands.sweep.tasks.facts import facts_of
from vdd_ros.commands.sweep.tasks.plan import TasksPlan
from vdd_ros.commands.sweep.tasks.results import told
from vdd_ros.policies.metrics_log import read_metrics

NLL = "nll"
LISTS = ("_by_observation", "_by_episode")  # figures that stay in the folder
TEACHER_STEPS = {"teacher": 10, "teacher-1": 1}  # Euler, as bundles run it


class Group(NamedTuple):
    """What policies have in common that are worked on and compared together."""

    task: str
    seed: int
    teacher: str

    def folder(self, out: Path) -> Path:
        """Where they are worked on."""
        return out / self.task / str(self.seed) / self.teacher


Known = dict[Group, list[dict]]


def policies_of(plan: TasksPlan, task: str, teacher: str) -> list[str]:
    """Names of all that are rolled out."""
    students = plan.students_of(task, teacher)
    return [*TEACHER_STEPS, *students, *plan.acting_of(task, teacher)]


def groups(plan: TasksPlan) -> Iterator[Group]:
    """In the order of the plan."""
    for task in plan.tasks:
        for seed in plan.seeds:
            for teacher in plan.teachers_of(task):
                yield Group(task, seed, teacher)


def count_cells(plan: TasksPlan) -> int:
    """How many there are when all is done."""
    return sum(len(policies_of(plan, group.task, group.teacher)) for group in groups(plan))


def finished_cells(plan: TasksPlan, out: Path, command: str, known: Known) -> list[dict]:
    """Of the policies that are judged and rolled out, in the order of the plan; of groups that are
    known, and of those that nothing of is finished here, the cells that are known. Latencies come
    last, and are null until then."""
    cells = []
    for group in groups(plan):
        if is_known(plan, group, known):
            cells += known[group]
            continue
        choices = _choices(plan, group)
        made = [_cell(plan, group, policy, out, digest) for policy, digest in choices.items()]
        finished = [cell | {"command": command} for cell in made if cell is not None]
        cells += finished or known.get(group, [])
    return cells


def known_cells(plan: TasksPlan, lines: Path | None) -> Known:
    """Cells of a file, by group, that are made by the choices of the plan. Raises UserError for
    what is no file of cells."""
    if lines is None:
        return {}
    by_place = {_place(cell): cell for cell in read_cells(lines)}
    known: Known = {}
    for group in groups(plan):
        found = (
            (by_place.get((*group, name)), digest) for name, digest in _choices(plan, group).items()
        )
        known[group] = [
            cell
            for cell, digest in found
            if cell and cell["choices"] == digest and len(cell["ways"]) == plan.rollouts
        ]
    return known


def is_known(plan: TasksPlan, group: Group, known: Known) -> bool:
    """Whether every policy of a group is: they are compared with each other, so a group that lacks
    one is worked on as a whole."""
    return len(known.get(group, ())) == len(policies_of(plan, group.task, group.teacher))


def _place(cell: dict) -> tuple[str, int, str, str]:
    return cell["task"], cell["seed"], cell["teacher"], cell["method"]


def _choices(plan: TasksPlan, group: Group) -> dict[str, str]:
    """By policy, in the plan's order, a hash of what decides it."""
    facts = facts_of(plan, *group)
    return {
        policy: digest_of(facts["teacher" if policy in TEACHER_STEPS else policy])
        for policy in policies_of(plan, group.task, group.teacher)
    }


def _cell(plan: TasksPlan, group: Group, policy: str, out: Path, choices: str) -> dict | None:
    folder, run = group.folder(out), plan.run_of(policy)
    rolled_out = told(folder, "rollouts").get(policy)
    judged, latency = (told(folder, kind).get(run) for kind in ("fidelity", "latency"))
    if rolled_out is None or judged is None:
        return None
    if len(rolled_out["ways"]) != plan.rollouts:
        return None
    untimed = {} if latency else {"latency_us": "calls are timed when all parts are done"}
    student = plan.every_student.get(run)
    trained = folder / ("teacher" if student is None else run)
    return {
        "benchmark": plan.name,
        "task": group.task,
        "method": policy,
        "run": run,
        "objective": student and student.method,
        "ablation": policy in plan.ablations or policy in plan.acting,
        "teacher": group.teacher,
        "seed": group.seed,
        "choices": choices,
        **rolled_out,
        **{name: value for name, value in judged.items() if not name.endswith(LISTS)},
        "energy_less_nll": _energy_less_nll(judged, told(folder, "fidelity").get(NLL)),
        "nfe": TEACHER_STEPS.get(run, judged["nfe"]),
        "fidelity_nfe": judged["nfe"],  # the teacher is judged by its best sampler
        "experts": _experts(trained) if student is not None and student.is_mixture else None,
        "latency_us": latency,
        "missing": rolled_out["missing"] | judged.get("missing", {}) | untimed,
        "training_seconds": _training(trained, "seconds"),
        "training_cpu_seconds": _training(trained, "cpu_seconds"),
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


def _training(run: Path, figure: str) -> float | None:
    """What it took, as the run's metrics tell it; None where they are gone, or do not."""
    lines = read_metrics(run)
    return lines[-1].get(figure) if lines else None
