"""One split of a sweep: a teacher, its students, and all of them judged, or timed."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from vdd_ros.commands.bench import processor
from vdd_ros.commands.distill import TRAINING as STUDENT_TRAINING
from vdd_ros.commands.progress import progress
from vdd_ros.commands.sweep.plan import Plan, Split
from vdd_ros.commands.train import TRAINING as TEACHER_TRAINING
from vdd_ros.durable import write_text
from vdd_ros.episode import EpisodeStore
from vdd_ros.policies.judge import JudgeConfig, judged
from vdd_ros.policies.latency import fast_ways
from vdd_ros.policies.learn import (
    Student,
    Teacher,
    distil,
    load_student,
    load_teacher,
    train_teacher,
)
from vdd_ros.policies.moe import StudentConfig
from vdd_ros.policies.objectives import OBJECTIVES
from vdd_ros.policies.teacher import TeacherConfig
from vdd_ros.policies.training import use_threads
from vdd_ros.timing import in_turns, pinned_to_one_core

BLOCKS, CALLS = 20, 250  # docs/metrics.md: 5,000 calls, in turns


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
        hardware = f"{processor()}, {os.cpu_count()} cores"
        text = json.dumps(figures | {"hardware": hardware}, allow_nan=False)
        write_text(results / f"{name}.json", text)


def latencies(plan: Plan, folder: Path) -> dict[str, dict]:
    """p50 and p99 of one call of each policy in `folder`, finished before, all in one run."""
    use_threads(1)
    students = {name: load_student(folder / name) for name in plan.students}
    rng = np.random.default_rng(plan.seed)
    calls = fast_ways(load_teacher(folder / "teacher"), students, plan.baselines, rng)
    with pinned_to_one_core():
        timings = in_turns(calls, time.perf_counter_ns, BLOCKS, CALLS)
    return {
        name: {
            "form": form,
            "p50_us": timing.percentile_us(50),
            "p99_us": timing.percentile_us(99),
            "calls": timing.samples_us.size,
        }
        for (name, form), timing in timings.items()
    }


def _teacher(plan: Plan, store: EpisodeStore, split: Split, folder: Path) -> Teacher:
    if (folder / "run.json").exists():
        return load_teacher(folder)
    assert store.contract is not None
    episodes = [store.load(name) for name in (*split.train, *split.judge)]
    training = replace(TEACHER_TRAINING, **plan.teacher_training, seed=plan.seed)
    with progress("teacher") as report:
        return train_teacher(
            store.contract,
            episodes,
            folder,
            TeacherConfig(**plan.teacher),
            training,
            len(split.judge),
            report,
        )


def _student(plan: Plan, teacher: Teacher, name: str, folder: Path) -> Student:
    if (folder / "run.json").exists():
        return load_student(folder)
    wanted = plan.students[name]
    chosen = {**plan.student_training, **wanted.training}
    training = replace(STUDENT_TRAINING, **chosen, seed=plan.seed)
    with progress(name) as report:
        return distil(
            teacher,
            folder,
            wanted.method,
            StudentConfig(**{**plan.student, **wanted.student}),
            training,
            OBJECTIVES[wanted.method](**wanted.objective),
            report=report,
            allow_larger=wanted.allow_larger,
            start=wanted.start,
            prune=wanted.prune,
        )
