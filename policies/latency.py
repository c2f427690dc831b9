"""What `vdd bench latency` compares: every way from a numpy window to a numpy chunk.

Each includes normalisation and runs in one thread at batch 1; noise is drawn beforehand. The floor
is what reading the student's weights costs, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from torch import nn

from vdd_ros.errors import UserError
from vdd_ros.inference import OnnxDensity, OnnxPolicy, PolicyOutput
from vdd_ros.normalizer import Normalizer
from vdd_ros.policies.acting_few_step import ActingFewStep, few_step_graph
from vdd_ros.policies.baselines import BASELINES
from vdd_ros.policies.export import ActingStudent, ActingTeacher, student_graphs
from vdd_ros.policies.forms import Eager, Floor, StepByStep, opened
from vdd_ros.policies.nets import count_parameters
from vdd_ros.policies.runs import AnyStudent, FewStepStudent, Student, Teacher, training_data
from vdd_ros.policies.teacher import SamplerConfig
from vdd_ros.policies.teacher_graphs import Schedule, export_pieces, looped, unrolled
from vdd_ros.timing import Timing, p50_ratio

STEPS = (1, 10, 100)
PARAMETER_RATIO = (0.8, 1.0)  # of student over teacher, for their latencies to be compared
FLOOR = ("floor", "BLAS sgemv per layer")
OVERHEAD = ("floor", "call overhead")
SAMPLE = "vdd-sample"  # what vdd is asked at a tick that draws samples of its experts

Name = tuple[str, str]  # policy (vdd, teacher-10, ...) and the form it runs in


class Ways(NamedTuple):
    """calls: () -> PolicyOutput by (policy, form), the floor's two among them, which give None;
    floor_weights: how many numbers the floor reads."""

    calls: dict[Name, Callable[[], PolicyOutput | None]]
    floor_weights: int


def ways_to_a_chunk(
    teacher: Teacher,
    student: Student,
    others: Sequence[Student],
    draws: int,
    rng: np.random.Generator,
) -> Ways:
    """Build every way; others: students that are timed as well, by the names of their folders;
    draws: samples of each expert where the student samples. Raises UserError when teacher and
    students have other windows or chunks."""
    shape = _window_shape(teacher.normalizer)
    for one in (student, *others):
        _require_same_shapes(teacher, one)
    window = typical_window(teacher.normalizer, rng)
    noise = rng.normal(size=(1, teacher.normalizer.sizes[-1]))
    graph, density_graph = student_graphs(student.moe, student.normalizer, shape)
    floor = Floor(graph)
    fast, density = opened(OnnxPolicy, graph), opened(OnnxDensity, density_graph)
    eager = Eager(ActingStudent(student.moe, student.normalizer))

    def sample() -> PolicyOutput:
        log_gating, means, deviations, _ = density.draw(window, draws, rng)
        chunks = means + deviations[0]
        return PolicyOutput(log_gating, chunks.reshape(len(means), fast.horizon, -1))

    calls: dict[Name, Callable[[], PolicyOutput | None]] = {
        FLOOR: floor.multiply,
        OVERHEAD: floor.call_only,
        ("vdd", "onnxruntime"): lambda: fast.infer(window),
        ("vdd", "torch eager"): lambda: eager.infer(window),
        (SAMPLE, "onnxruntime"): sample,
    }
    for other in others:
        policy_onnx, _ = student_graphs(other.moe, other.normalizer, shape)
        calls[other.folder.name, "onnxruntime"] = partial(
            opened(OnnxPolicy, policy_onnx).infer, window
        )
    for name, policy in teacher_forms(teacher).items():
        calls[name] = partial(policy.infer, window, noise)
    return Ways(calls, sum(a.size for a, _, _ in floor.layers))


def fast_ways(
    teacher: Teacher,
    students: Mapping[str, AnyStudent],
    baselines: Sequence[str],
    rng: np.random.Generator,
) -> dict[Name, Callable[[], object]]:
    """Students and BASELINES of one teacher as a robot would run them, after one window."""
    window = typical_window(teacher.normalizer, rng)
    calls: dict[Name, Callable[[], object]] = {}
    for name, student in students.items():
        calls[name, "onnxruntime"] = student_call(student, window, rng)
    data = training_data(teacher)
    for name in baselines:
        calls[name, "numpy"] = partial(BASELINES[name](data).act, window)
    return calls


def student_call(
    student: AnyStudent, window: np.ndarray, rng: np.random.Generator
) -> Callable[[], PolicyOutput]:
    """A chunk after a window (To, Do) in onnxruntime, of one noise where it is made of any."""
    if isinstance(student, FewStepStudent):
        acting = ActingFewStep(student.net, student.normalizer, student.objective)
        policy = opened(OnnxPolicy, few_step_graph(acting, window.shape))
        return partial(policy.infer, window, rng.normal(size=policy.noise_shape))
    graph, _ = student_graphs(student.moe, student.normalizer, window.shape)
    return partial(opened(OnnxPolicy, graph).infer, window)


def teacher_forms(teacher: Teacher) -> dict[Name, OnnxPolicy | StepByStep | Eager]:
    """The teacher by Euler steps in every form."""
    noise, normalizer = teacher.config.sampling_noise, teacher.normalizer
    shape = _window_shape(normalizer)
    pieces = export_pieces(teacher.denoiser, normalizer, noise.sigma_max, shape)
    forms: dict[Name, OnnxPolicy | StepByStep | Eager] = {}
    for steps in STEPS:
        sampler = SamplerConfig("euler", steps)
        schedule = Schedule.through(sampler.sigmas(noise))
        policy = f"teacher-{steps}"
        forms[policy, "Python loop"] = StepByStep(pieces, schedule)
        forms[policy, "unrolled graph"] = opened(OnnxPolicy, unrolled(pieces, schedule))
        forms[policy, "ONNX Loop"] = opened(OnnxPolicy, looped(pieces, schedule))
        if steps == 10:
            acting = ActingTeacher(teacher.denoiser, normalizer, noise, sampler)
            forms[policy, "torch eager"] = Eager(acting)
    return forms


def largest_difference(ways: Ways) -> float:
    """Between the chunks that the forms of one policy give for the same noise [contract unit]."""
    first: dict[str, np.ndarray] = {}
    largest = 0.0
    for (policy, _), call in ways.calls.items():
        output = call()
        if output is not None:
            means = first.setdefault(policy, output.means)
            largest = max(largest, float(np.abs(output.means - means).max()))
    return largest


def parameters_of(teacher: nn.Module, student: nn.Module) -> dict:
    """Counts, their ratio and whether it lies where latencies may be compared."""
    counts = {"teacher": count_parameters(teacher), "student": count_parameters(student)}
    ratio = counts["student"] / counts["teacher"]
    low, high = PARAMETER_RATIO
    return counts | {"ratio": ratio, "allowed": [low, high], "comparable": low <= ratio <= high}


def rows_of(timings: dict[Name, Timing]) -> list[dict]:
    """One object per way; the floor's call overhead is subtracted from it and stated beside it."""
    rows = []
    for (policy, form), timing in timings.items():
        p50, p99 = timing.percentile_us(50), timing.percentile_us(99)
        if (policy, form) == OVERHEAD:
            continue
        row = {"policy": policy, "form": form, "p50_us": p50, "p99_us": p99}
        if (policy, form) == FLOOR:
            overhead = timings[OVERHEAD].percentile_us(50)
            row |= {"p50_us": p50 - overhead, "p99_us": p99 - overhead, "overhead_us": overhead}
        blocks, per_block = timing.samples_us.shape
        counts = {"calls": blocks * per_block, "blocks": blocks, "warm_up": timing.warm_up}
        rows.append(row | {"network_calls": _network_calls(policy)} | counts)
    return rows


def ratios_of(timings: dict[Name, Timing]) -> tuple[dict[str, float], dict[str, str]]:
    """Ratios of p50, and the form of each teacher that was the fastest and is in its ratio."""
    vdd = timings["vdd", "onnxruntime"]
    ratios, best_forms = {}, {}
    for steps in STEPS:
        policy = f"teacher-{steps}"
        by_form = {
            form: p50_ratio(timing, vdd)
            for (name, form), timing in timings.items()
            if name == policy and form != "torch eager"
        }
        best_forms[policy] = min(by_form, key=by_form.__getitem__)
        ratios[f"teacher{steps}_over_vdd_p50"] = by_form[best_forms[policy]]
    floor_us = timings[FLOOR].block_p50_us - timings[OVERHEAD].block_p50_us
    ratios["vdd_over_floor_p50"] = float(np.median(vdd.block_p50_us / floor_us))
    return ratios, best_forms


def typical_window(normalizer: Normalizer, rng: np.random.Generator) -> np.ndarray:
    """(To, Do): a window drawn from the normalizer's statistics [contract unit]."""
    newest = rng.normal(normalizer.newest_mean, normalizer.newest_std)
    steps = rng.normal(0.0, normalizer.difference_std)
    before = newest - steps[::-1].cumsum(0)[::-1]
    return np.vstack([before, newest])


def _network_calls(policy: str) -> int:
    return int(policy.rpartition("-")[2]) if policy.startswith("teacher-") else 1


def _window_shape(normalizer: Normalizer) -> tuple[int, int]:
    before, dim = normalizer.difference_std.shape
    return before + 1, dim


def _require_same_shapes(teacher: Teacher, student: Student) -> None:
    shapes = [
        (*_window_shape(run.normalizer), *run.normalizer.chunk_mean.shape)
        for run in (teacher, student)
    ]
    if shapes[0] != shapes[1]:
        raise UserError(
            f"teacher {teacher.folder} has (To, Do, H, Da) = {shapes[0]}, student {student.folder} "
            f"{shapes[1]}: name a student and the teacher that it was distilled from"
        )
