"""One split of a sweep: a teacher, its students, and all of them judged, or timed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from vdd_ros.commands.sweep.episodes.plan import Plan, Split
from vdd_ros.commands.sweep.stages import hardware, student_in, teacher_in, timed
from vdd_ros.durable import replace_text
from vdd_ros.episode import EpisodeStore
from vdd_ros.policies.judge import JudgeConfig, judged
from vdd_ros.policies.latency import fast_ways
from vdd_ros.policies.runs import AnyStudent, Teacher, load_any_student, load_teacher
from vdd_ros.policies.training import use_threads


def work(plan: Plan, store: EpisodeStore, split: Split, folder: Path) -> None:
    """Fill `folder` with runs and results; what is there already is kept."""
    use_threads(1)
    teacher = _teacher(plan, store, split, folder / "teacher")
    students = {name: _student(plan, teacher, name, folder / name) for name in plan.students}
    results = folder / "results"
    if all((results / f"{name}.json").exists() for name in plan.judged):
        return
    results.mkdir(exist_ok=True)
    found = judged(teacher, students, plan.baselines, JudgeConfig(seed=plan.seed))
    for name, figures in found.items():
        text = json.dumps(figures | {"hardware": hardware()}, allow_nan=False)
        replace_text(results / f"{name}.json", text)


def latencies(plan: Plan, folder: Path) -> dict[str, dict]:
    """p50 and p99 of one call of each policy in `folder`, finished before, all in one run."""
    use_threads(1)
    students = {name: load_any_student(folder / name) for name in plan.students}
    rng = np.random.default_rng(plan.seed)
    calls = fast_ways(load_teacher(folder / "teacher"), students, plan.baselines, rng)
    return {
        name: {
            "form": form,
            "p50_us": timing.percentile_us(50),
            "p99_us": timing.percentile_us(99),
            "calls": timing.samples_us.size,
        }
        for (name, form), timing in timed(calls).items()
    }


def _teacher(plan: Plan, store: EpisodeStore, split: Split, folder: Path) -> Teacher:
    assert store.contract is not None
    return teacher_in(
        folder,
        store.contract,
        store,
        (*split.train, *split.judge),
        plan.teacher,
        {**plan.teacher_training, "seed": plan.seed},
        len(split.judge),
    )


def _student(plan: Plan, teacher: Teacher, name: str, folder: Path) -> AnyStudent:
    training = {**plan.student_training, "seed": plan.seed}
    return student_in(folder, teacher, plan.students[name], plan.student, training)
