"""One task with one seed: teachers and students, all of them judged, rolled out and timed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from vdd_ros.bundle import Bundle
from vdd_ros.commands import export, record
from vdd_ros.commands.progress import progress
from vdd_ros.commands.sweep.same import keep
from vdd_ros.commands.sweep.stages import hardware, student_in, teacher_in, timed
from vdd_ros.commands.sweep.tasks.cells import TEACHER_STEPS, Group, policies_of
from vdd_ros.commands.sweep.tasks.facts import facts_of
from vdd_ros.commands.sweep.tasks.plan import TasksPlan
from vdd_ros.commands.sweep.tasks.results import tell, told
from vdd_ros.contract import Contract
from vdd_ros.episode import EpisodeStore
from vdd_ros.errors import UserError
from vdd_ros.inference import OnnxPolicy
from vdd_ros.policies.encoder import EncoderConfig
from vdd_ros.policies.export import teacher_graph
from vdd_ros.policies.forms import opened
from vdd_ros.policies.judge import JudgeConfig, judged
from vdd_ros.policies.latency import student_call, typical_window
from vdd_ros.policies.runs import AnyStudent, Teacher, load_any_student, load_teacher
from vdd_ros.policies.teacher import SamplerConfig
from vdd_ros.policies.training import use_threads
from vdd_ros.sim.evaluate import evaluate
from vdd_ros.sim.visited import visited_windows

FOLDER = "demonstrations"
KEPT = (
    "success", "success_interval", "entropy", "entropy_dropped", "return", "modes",
    "modes_declared", "seconds", "failures", "missing", "acting_rule",
    "bundle_hash", "contract_hash", "code_hash",
)  # fmt: skip


def record_task(plan: TasksPlan, task: str, out: Path) -> None:
    """Record a task's demonstrations, the same for all seeds, unless all of them are there; raises
    UserError where others are there."""
    folder, wanted = out / task / FOLDER, plan.tasks[task].demonstrations
    if folder.exists():
        if (found := len(EpisodeStore(folder).list())) != wanted:
            raise UserError(
                f"{folder} holds {found} demonstrations, the plan wants {wanted}: name another "
                f"--out, or remove that folder"
            )
        return
    unfinished = folder.with_name(".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    record.main(
        record.Args(
            unfinished, wanted, task=task, contract=plan.contract_of(task), one_process=True
        )
    )
    unfinished.rename(folder)


def work(plan: TasksPlan, group: Group, out: Path) -> None:
    """Fill a group's folder with runs, bundles and results; what is there already is kept, and a
    policy that is missing is added."""
    use_threads(1)
    folder = group.folder(out)
    keep(folder, facts_of(plan, *group))
    teacher = _teacher(plan, group, out)
    names = plan.students_of(group.task, group.teacher)
    students = {name: _student(plan, group, teacher, name) for name in names}
    _judge(teacher, students, group.seed, folder)
    for policy in policies_of(plan, group.task, group.teacher):
        _roll_out(plan, group, policy, folder)


def time_calls(plan: TasksPlan, group: Group, out: Path) -> None:
    """Add to a group's folder what a call of each policy takes, once all of them are there."""
    use_threads(1)
    folder = group.folder(out)
    names = plan.students_of(group.task, group.teacher)
    students = {name: load_any_student(folder / name) for name in names}
    _time(load_teacher(folder / "teacher"), students, folder)


def _teacher(plan: TasksPlan, group: Group, out: Path) -> Teacher:
    task, seed, name = group
    contract, wanted = Contract.from_yaml(plan.contract_of(task, name)), plan.teachers[name]
    store = EpisodeStore(out / task / FOLDER, contract)
    return teacher_in(
        group.folder(out) / "teacher",
        contract,
        store,
        store.list(),
        {**plan.teacher, **plan.tasks[task].teacher, **wanted.config},
        {**plan.teacher_training, **wanted.training, "seed": seed},
        plan.tasks[task].held_out,
        EncoderConfig.from_dict({**plan.encoder, **wanted.encoder}),
    )


def _student(plan: TasksPlan, group: Group, teacher: Teacher, name: str) -> AnyStudent:
    task, seed, _ = group
    folder, wanted = teacher.folder.with_name(name), plan.student_of(group.teacher, name)

    def visited() -> np.ndarray | None:
        if wanted.visited is None:
            return None
        bundle = _bundle(plan, wanted.visited.by, folder.parent)
        return visited_windows(bundle, teacher.contract, task, wanted.visited.episodes, seed)

    return student_in(
        folder,
        teacher,
        wanted,
        {**plan.student, **plan.tasks[task].student},
        {**plan.student_training, "seed": seed},
        visited,
    )


def _judge(teacher: Teacher, students: dict[str, AnyStudent], seed: int, folder: Path) -> None:
    """Figures of those that have none yet; they do not depend on who else is judged."""
    known = told(folder, "fidelity")
    missing = {name: student for name, student in students.items() if name not in known}
    if known and not missing:
        return
    found = judged(teacher, missing, (), JudgeConfig(seed=seed))
    fresh = {name: figures | {"hardware": hardware()} for name, figures in found.items()}
    tell(folder, "fidelity", fresh | known)


def _roll_out(plan: TasksPlan, group: Group, policy: str, folder: Path) -> None:
    """Every rollout of one policy through its own bundle; where the plan wants more or fewer than
    there are, those that were done before are not done again."""
    known = told(folder, "rollouts")
    if policy in known and len(known[policy]["ways"]) == plan.rollouts:
        return
    bundle = _bundle(plan, policy, folder)
    robot = Contract.from_yaml(plan.contract_of(group.task, group.teacher))
    seeds = range(plan.rollouts)
    with progress(f"{folder} {policy}") as report:
        result = evaluate(bundle, robot, seeds, folder / "rollouts", 1, group.task, report)
    summary = result.summary()
    contexts = len({rollout.context for rollout in result.rollouts})
    figures = {name: summary[name] for name in KEPT}
    figures |= {"ways": list(result.ways), "contexts": contexts}
    tell(folder, "rollouts", known | {policy: figures})


def _bundle(plan: TasksPlan, policy: str, folder: Path) -> Path:
    """What is rolled out, exported unless it has been."""
    bundle, changes = folder / "bundles" / policy, plan.rule_of(policy)
    name = plan.run_of(policy)
    is_teacher = name in TEACHER_STEPS
    rule = changes.of(plan.usual_rule_of(policy))
    if not bundle.exists() or Bundle.load(bundle).rule != rule:
        run = folder / ("teacher" if is_teacher else name)
        wanted = export.Args(run, bundle, policy, folder / "teacher", rule=changes)
        export.main(replace(wanted, sampler_steps=TEACHER_STEPS.get(name, wanted.sampler_steps)))
    return bundle


def _time(teacher: Teacher, students: dict[str, AnyStudent], folder: Path) -> None:
    """p50 and p99 of one call of each policy. They are compared, so all are measured in one run,
    and again with one that is added."""
    if {*TEACHER_STEPS, *students} <= told(folder, "latency").keys():
        return
    rng = np.random.default_rng(0)
    window = typical_window(teacher, rng)
    noise = rng.normal(size=(1, teacher.normalizer.sizes[-1]))
    calls: dict[str, Callable[[], object]] = {}
    for name, steps in TEACHER_STEPS.items():
        parts = (teacher.denoiser, teacher.normalizer, teacher.config.sampling_noise)
        graph = teacher_graph(*parts, SamplerConfig("euler", steps), window.shape)
        calls[name] = partial(opened(OnnxPolicy, graph).infer, window, noise)
    for name, student in students.items():
        calls[name] = student_call(student, window, rng)
    measured = {
        name: {"p50": timing.percentile_us(50), "p99": timing.percentile_us(99)}
        for name, timing in timed(calls).items()
    }
    tell(folder, "latency", measured)
