"""What `vdd bench latency` compares: every way from a numpy window to a numpy chunk.

Each includes normalisation and runs in one thread at batch 1, but for the teacher's graphs that may
have all; noise is drawn beforehand. The floor is what multiplying by the weights costs that the
student's call reads, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from torch import nn

from vdd_ros.compiled_expert import CompiledExpert, kernel
from vdd_ros.errors import UserError
from vdd_ros.inference import (
    OnnxDensity,
    OnnxExpert,
    OnnxPolicy,
    PolicyOutput,
    Runtime,
    default_runtime,
)
from vdd_ros.normalizer import Normalizer
from vdd_ros.numpy_expert import NumpyExpert
from vdd_ros.policies.acting_few_step import ActingFewStep, few_step_graph
from vdd_ros.policies.baselines import BASELINES
from vdd_ros.policies.expert_graph import expert_graph
from vdd_ros.policies.export import ActingStudent, ActingTeacher, student_graphs
from vdd_ros.policies.forms import Compiled, Eager, Floor, StepByStep, opened
from vdd_ros.policies.nets import count_parameters
from vdd_ros.policies.runs import AnyStudent, FewStepStudent, Student, Teacher, training_data
from vdd_ros.policies.teacher import SamplerConfig
from vdd_ros.policies.teacher_graphs import Schedule, export_pieces, looped, unrolled
from vdd_ros.timing import Timing, p50_ratio

GRAPH_RUNTIMES: tuple[Runtime, ...] = ("onnxruntime", "numpy")  # of whole graphs
STEPS = (1, 10, 100)
PERCENTS = {"50": 50.0, "99": 99.0, "999": 99.9}
PARAMETER_RATIO = (0.8, 1.0)  # of student over teacher, for their latencies to be compared
FLOORS = (("floor", "BLAS sgemv, by columns"), ("floor", "BLAS sgemv, by rows"))
OVERHEAD = ("floor", "call overhead")
# one expert, compiled, is what robots run by default, onnxruntime's all are the plain export
ONE_COMPILED = "compiled, one expert"
ONE_IN_NUMPY, ONE = "numpy, one expert", "onnxruntime, one expert"
ALL_IN_NUMPY, ALL = "numpy, all experts", "onnxruntime, all experts"
COMPILED = ("vdd", "torch.compile")
SAMPLE = "vdd-sample"  # what vdd is asked at a tick that draws samples of its experts

Name = tuple[str, str]  # policy (vdd, teacher-10, ...) and the form it runs in
Call = Callable[[], PolicyOutput | tuple[np.ndarray, np.ndarray] | None]


class Ways(NamedTuple):
    """calls: by (policy, form), giving all experts' means, or the first one's, or None, which is
    the floor; floor_weights: how many numbers the floor reads; missing: why a form is not there."""

    calls: dict[Name, Call]
    floor_weights: int
    missing: dict[str, str]


def ways_to_a_chunk(
    teacher: Teacher,
    student: Student,
    others: Sequence[Student],
    draws: int,
    rng: np.random.Generator,
    compiles: bool,
) -> Ways:
    """Build every way; others: students that are timed as well, by the names of their folders;
    draws: samples of each expert where the student samples; compiles: whether torch.compile is one
    of them. Raises UserError when teacher and students have other windows or chunks."""
    shape = _window_shape(teacher.normalizer)
    for one in (student, *others):
        _require_same_shapes(teacher, one)
    window = typical_window(teacher, rng)
    noise = rng.normal(size=(1, teacher.normalizer.sizes[-1]))
    graph, density_graph = student_graphs(student.moe, student.normalizer, shape)
    of_one = expert_graph(student.moe, student.normalizer, shape)
    densities = {
        runtime: opened(partial(OnnxDensity, runtime=runtime), density_graph)
        for runtime in GRAPH_RUNTIMES
    }
    eager = Eager(ActingStudent(student.moe, student.normalizer))

    def sample(density: OnnxDensity) -> PolicyOutput:
        log_gating, means, deviations, _ = density.draw(window, draws, rng)
        chunks = means + deviations[0]
        return PolicyOutput(log_gating, chunks.reshape(len(means), *student_shape))

    student_shape = student.normalizer.chunk_mean.shape
    floor = Floor(of_one or graph)
    calls: dict[Name, Call] = {
        FLOORS[0]: floor.by_columns,
        FLOORS[1]: floor.by_rows,
        OVERHEAD: floor.call_only,
        **_student_forms("vdd", graph, of_one, window),
        ("vdd", "torch eager"): lambda: eager.infer(window),
        **{(SAMPLE, name): partial(sample, one) for name, one in densities.items()},
    }
    missing = _compiled(calls, student, window) if compiles else {COMPILED[1]: "not asked for"}
    for other in others:
        parts = (other.moe, other.normalizer, shape)
        graphs = student_graphs(*parts)[0], expert_graph(*parts)
        calls |= _student_forms(other.folder.name, *graphs, window)
    for name, policy in teacher_forms(teacher).items():
        calls[name] = partial(policy.infer, window, noise)
    return Ways(calls, sum(a.size for a, _, _ in floor.layers), missing)


def _student_forms(
    name: str, graph: bytes, of_one: bytes | None, window: np.ndarray
) -> dict[Name, Call]:
    """A student as a robot may run it: all experts' means, and where there is such a graph one."""
    all_in_numpy = partial(OnnxPolicy, runtime="numpy")
    forms: dict[Name, Call] = {
        (name, ALL): partial(opened(OnnxPolicy, graph).infer, window),
        (name, ALL_IN_NUMPY): partial(opened(all_in_numpy, graph).infer, window),
    }
    if of_one is not None:
        forms[name, ONE] = partial(opened(OnnxExpert, of_one).evaluate, window, 0)
        forms[name, ONE_IN_NUMPY] = partial(NumpyExpert(of_one).evaluate, window, 0)
        if kernel() is not None:
            forms[name, ONE_COMPILED] = partial(CompiledExpert(of_one).evaluate, window, 0)
    return forms


def _compiled(calls: dict[Name, Call], student: Student, window: np.ndarray) -> dict[str, str]:
    """Add what torch.compile makes of it, or say why there is none: it needs a C++ compiler."""
    compiled = Compiled(ActingStudent(student.moe, student.normalizer))
    try:
        compiled.infer(window)
    except Exception as error:  # of many kinds, from three libraries
        return {COMPILED[1]: str(error).strip().partition("\n")[0][:200]}
    calls[COMPILED] = lambda: compiled.infer(window)
    return {}


def fast_ways(
    teacher: Teacher,
    students: Mapping[str, AnyStudent],
    baselines: Sequence[str],
    rng: np.random.Generator,
) -> dict[Name, Callable[[], object]]:
    """Students and BASELINES of one teacher as a robot would run them, after one window."""
    window = typical_window(teacher, rng)
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
        graphs = {"unrolled graph": unrolled, "ONNX Loop": looped}
        for form, composed in graphs.items():
            graph = composed(pieces, schedule)
            forms[policy, form] = opened(OnnxPolicy, graph)
            forms[policy, f"{form}, all threads"] = opened(partial(OnnxPolicy, threads=0), graph)
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
        if output is not None and policy != SAMPLE:  # which draws anew
            means = output.means if isinstance(output, PolicyOutput) else output[1][None]
            beside = first.setdefault(policy, means)[: len(means)]
            largest = max(largest, float(np.abs(means[: len(beside)] - beside).max()))
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
        if (policy, form) == OVERHEAD:
            continue
        row: dict = {"policy": policy, "form": form}
        row |= {f"p{name}_us": timing.percentile_us(percent) for name, percent in PERCENTS.items()}
        if (policy, form) in FLOORS:
            overhead = timings[OVERHEAD].percentile_us(50)
            row |= {f"p{name}_us": row[f"p{name}_us"] - overhead for name in PERCENTS}
            row["overhead_us"] = overhead
        blocks, per_block = timing.samples_us.shape
        counts = {"calls": blocks * per_block, "blocks": blocks, "warm_up": timing.warm_up}
        rows.append(row | {"network_calls": _network_calls(policy)} | counts)
    return rows


def ratios_of(timings: dict[Name, Timing]) -> tuple[dict[str, float], dict[str, str]]:
    """Ratios of p50, and the form of each policy that was the fastest and is in its ratio; the
    student in the runtime that robots have by default."""
    usual = default_runtime(("vdd", ONE) in timings)
    in_use = {
        **{"compiled": (ONE_COMPILED, ALL_IN_NUMPY), "numpy": (ONE_IN_NUMPY, ALL_IN_NUMPY)},
        "onnxruntime": (ONE, ALL),
    }[usual]
    best_forms = {"vdd": next(form for form in in_use if ("vdd", form) in timings)}
    student = timings["vdd", best_forms["vdd"]]
    ratios = {"plain_over_student_p50": p50_ratio(timings["vdd", ALL], student)}
    for steps in STEPS:
        policy = f"teacher-{steps}"
        by_form = {
            form: p50_ratio(timing, student)
            for (name, form), timing in timings.items()
            if name == policy and form != "torch eager"
        }
        best_forms[policy] = min(by_form, key=by_form.__getitem__)
        ratios[f"teacher{steps}_over_student_p50"] = by_form[best_forms[policy]]
    floors_us = np.min([timings[floor].block_p50_us for floor in FLOORS], axis=0)
    floor_us = floors_us - timings[OVERHEAD].block_p50_us
    ratios["student_over_floor_p50"] = float(np.median(student.block_p50_us / floor_us))
    return ratios, best_forms


def typical_window(teacher: Teacher, rng: np.random.Generator) -> np.ndarray:
    """(To, Do): a window drawn from the normalizer's statistics [contract unit]; where a teacher
    sees images its rows are as long as a graph wants them, see `acting_windows`."""
    normalizer = teacher.normalizer
    newest = rng.normal(normalizer.newest_mean, normalizer.newest_std)
    steps = rng.normal(0.0, normalizer.difference_std)
    before = newest - steps[::-1].cumsum(0)[::-1]
    window = np.vstack([before, newest])
    sizes = teacher.sizes
    features = np.zeros((len(window), sizes.images * sizes.image_dim))
    features[-1] = rng.normal(size=features.shape[1])
    return np.hstack([window, features])


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
