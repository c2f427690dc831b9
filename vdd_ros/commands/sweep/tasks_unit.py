"""One task with one seed: teachers and students, all of them judged, rolled out and timed."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from vdd_ros.commands import export, record
from vdd_ros.commands.bench import processor
from vdd_ros.commands.distill import TRAINING as STUDENT_TRAINING
from vdd_ros.commands.progress import progress
from vdd_ros.commands.sweep.tasks_plan import TasksPlan
from vdd_ros.commands.train import TRAINING as TEACHER_TRAINING
from vdd_ros.contract import Contract
from vdd_ros.durable import write_text
from vdd_ros.episode import EpisodeStore
from vdd_ros.inference import OnnxPolicy
from vdd_ros.policies.export import student_graphs, teacher_graph
from vdd_ros.policies.forms import opened
from vdd_ros.policies.judge import JudgeConfig, judged
from vdd_ros.policies.latency import typical_window
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
from vdd_ros.policies.teacher import SamplerConfig, TeacherConfig
from vdd_ros.policies.training import use_threads
from vdd_ros.sim.evaluate import evaluate
from vdd_ros.sim.visited import visited_windows
from vdd_ros.timing import in_turns, pinned_to_one_core

BLOCKS, CALLS = 20, 250  # docs/metrics.md: 5,000 calls, in turns
TEACHER_STEPS = {"teacher": 10, "teacher-1": 1}  # Euler, as bundles run it
FOLDER = "demonstrations"
KEPT = (
    "success", "success_interval", "entropy", "entropy_dropped", "return", "modes",
    "modes_declared", "seconds", "failures", "missing", "acting_rule",
)  # fmt: skip


def record_task(plan: TasksPlan, task: str, out: Path) -> None:
    """Record what is still missing of a task's demonstrations, the same for all seeds."""
    folder, wanted = out / task / FOLDER, plan.tasks[task].demonstrations
    if folder.exists() and len(EpisodeStore(folder).list()) >= wanted:
        return
    unfinished = folder.with_name(".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    record.main(
        record.Args(
            unfinished, wanted, task=task, contract=plan.contract_of(task), one_process=True
        )
    )
    unfinished.rename(folder)


def work(plan: TasksPlan, task: str, seed: int, out: Path) -> None:
    """Fill out/TASK/SEED with runs, bundles and results; what is there already is kept."""
    use_threads(1)
    folder = out / task / str(seed)
    for name in plan.teachers_of(task):
        teacher = _teacher(plan, task, seed, name, out)
        names = plan.students_of(task, name)
        students = {one: _student(plan, task, teacher, one, seed) for one in names}
        _judge(teacher, students, seed, folder / name)
        for policy in (*TEACHER_STEPS, *students):
            _roll_out(plan, task, policy, folder / name)
        _time(teacher, students, folder / name)


def cell(plan: TasksPlan, task: str, seed: int, teacher: str, policy: str, out: Path) -> dict:
    """Every figure of one policy, of what it is told in files."""
    folder = out / task / str(seed) / teacher / "results"
    judged_as, rolled, timed = (
        json.loads((folder / f"{kind}.json").read_text())[policy]
        for kind in ("fidelity", "rollouts", "latency")
    )
    return {
        "benchmark": plan.name,
        "task": task,
        "method": policy,
        "teacher": teacher,
        "seed": seed,
        **rolled,
        **judged_as,
        "latency_us": timed,
    }


def _teacher(plan: TasksPlan, task: str, seed: int, name: str, out: Path) -> Teacher:
    folder = out / task / str(seed) / name / "teacher"
    if (folder / "run.json").exists():
        return load_teacher(folder)
    contract = Contract.from_yaml(plan.contract_of(task))
    store = EpisodeStore(out / task / FOLDER, contract)
    wanted = plan.teachers[name]
    training = replace(TEACHER_TRAINING, **{**plan.teacher_training, **wanted.training}, seed=seed)
    with progress(f"{task} {seed} {name}") as report:
        return train_teacher(
            contract,
            [store.load(episode) for episode in store.list()],
            folder,
            TeacherConfig(**{**plan.teacher, **plan.tasks[task].teacher, **wanted.config}),
            training,
            plan.tasks[task].held_out,
            report,
        )


def _student(plan: TasksPlan, task: str, teacher: Teacher, name: str, seed: int) -> Student:
    folder = teacher.folder.with_name(name)
    if (folder / "run.json").exists():
        return load_student(folder)
    wanted, visited = plan.students[name], None
    if wanted.visited is not None:
        bundle = _bundle(wanted.visited.by, folder.parent)
        visited = visited_windows(bundle, teacher.contract, task, wanted.visited.episodes, seed)
    chosen = {**plan.student_training, **wanted.training}
    with progress(f"{folder.parent} {name}") as report:
        return distil(
            teacher,
            folder,
            wanted.method,
            StudentConfig(**{**plan.student, **plan.tasks[task].student, **wanted.student}),
            replace(STUDENT_TRAINING, **chosen, seed=seed),
            OBJECTIVES[wanted.method](**wanted.objective),
            report=report,
            allow_larger=wanted.allow_larger,
            start=wanted.start,
            prune=wanted.prune,
            visited=visited,
        )


def _judge(teacher: Teacher, students: dict[str, Student], seed: int, folder: Path) -> None:
    path = folder / "results" / "fidelity.json"
    if path.exists():
        return
    path.parent.mkdir(exist_ok=True)
    found = judged(teacher, students, (), JudgeConfig(seed=seed))
    hardware = f"{processor()}, {os.cpu_count()} cores"
    told = {name: figures | {"hardware": hardware} for name, figures in found.items()}
    write_text(path, json.dumps(told, allow_nan=False))


def _roll_out(plan: TasksPlan, task: str, policy: str, folder: Path) -> None:
    """Every rollout of one policy through its own bundle."""
    path = folder / "results" / "rollouts.json"
    told = json.loads(path.read_text()) if path.exists() else {}
    if policy in told:
        return
    bundle = _bundle(policy, folder)
    robot = Contract.from_yaml(plan.contract_of(task))
    seeds = range(plan.rollouts)
    with progress(f"{folder} {policy}") as report:
        result = evaluate(bundle, robot, seeds, folder / "rollouts", 1, task, report)
    summary = result.summary()
    contexts = len({rollout.context for rollout in result.rollouts})
    told[policy] = {name: summary[name] for name in KEPT}
    told[policy] |= {"ways": list(result.ways), "contexts": contexts}
    write_text(path, json.dumps(told, allow_nan=False))


def _bundle(policy: str, folder: Path) -> Path:
    """What is rolled out, exported unless it has been."""
    bundle = folder / "bundles" / policy
    if not bundle.exists():
        run = folder / ("teacher" if policy in TEACHER_STEPS else policy)
        wanted = export.Args(run, bundle, policy, folder / "teacher")
        export.main(replace(wanted, sampler_steps=TEACHER_STEPS.get(policy, wanted.sampler_steps)))
    return bundle


def _time(teacher: Teacher, students: dict[str, Student], folder: Path) -> None:
    """p50 and p99 of one call of each policy, all in one run."""
    path = folder / "results" / "latency.json"
    if path.exists():
        return
    rng = np.random.default_rng(0)
    window = typical_window(teacher.normalizer, rng)
    noise = rng.normal(size=(1, teacher.normalizer.sizes[-1]))
    calls: dict[str, Callable[[], object]] = {}
    for name, steps in TEACHER_STEPS.items():
        parts = (teacher.denoiser, teacher.normalizer, teacher.config.noise)
        graph = teacher_graph(*parts, SamplerConfig("euler", steps), window.shape)
        calls[name] = partial(opened(OnnxPolicy, graph).infer, window, noise)
    for name, student in students.items():
        graph, _ = student_graphs(student.moe, student.normalizer, window.shape)
        calls[name] = partial(opened(OnnxPolicy, graph).infer, window)
    with pinned_to_one_core():
        timings = in_turns(calls, time.perf_counter_ns, BLOCKS, CALLS)
    told = {
        name: {"p50": timing.percentile_us(50), "p99": timing.percentile_us(99)}
        for name, timing in timings.items()
    }
    write_text(path, json.dumps(told, allow_nan=False))
