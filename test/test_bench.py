"""`vdd bench latency`: what it reports, and that all forms of a teacher are the same teacher."""

from __future__ import annotations

import itertools
import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from vdd_ros import cli
from vdd_ros.compiled_expert import kernel
from vdd_ros.inference import OnnxPolicy, default_runtime
from vdd_ros.normalizer import Normalizer
from vdd_ros.policies.checkpoint import Run, save_run
from vdd_ros.policies.expert_graph import expert_graph
from vdd_ros.policies.export import ActingTeacher
from vdd_ros.policies.forms import Eager, Floor, matrices, opened
from vdd_ros.policies.latency import parameters_of
from vdd_ros.policies.moe import GaussianMoE, StudentConfig
from vdd_ros.policies.noise import NoiseConfig
from vdd_ros.policies.spacing import sigma_grid
from vdd_ros.policies.teacher import SamplerConfig, TeacherConfig, make_teacher
from vdd_ros.policies.teacher_graphs import Schedule, export_pieces, looped, unrolled
from vdd_ros.timing import SLOW_SHARE, WARM_UP, in_turns, p50_ratio, pinned_to_one_core

TEACHER = TeacherConfig(width=32, blocks=1, horizon=4, rank=12)  # a chunk has 28 numbers
STUDENT = StudentConfig(n_experts=4, width=32, blocks=2, bottleneck=16)


def untrained_teacher(normalizer: Normalizer):
    """Its last layer is drawn, because it starts as zero and then all steps would agree anyway."""
    torch.manual_seed(1)
    teacher = make_teacher(TEACHER, *normalizer.sizes).eval()
    torch.nn.init.normal_(teacher.net.leave.weight, std=0.2)
    return teacher


def normalizer_for(dim: int, horizon: int) -> Normalizer:
    rng = np.random.default_rng(3)
    windows = 0.1 * rng.normal(size=(64, TEACHER.n_obs_steps, dim)).cumsum(1)
    chunks = windows[:, -1:] + 0.1 * rng.normal(size=(64, horizon, dim))
    return Normalizer.fit(windows, chunks, TEACHER.rank, rng)


@pytest.fixture
def runs(tmp_path, contract):
    """make(horizon of the student) -> the arguments that name an untrained teacher and student."""

    def make(horizon: int = TEACHER.horizon) -> list[str]:
        units = {
            "teacher": normalizer_for(contract.action_dim, TEACHER.horizon),
            "student": normalizer_for(contract.action_dim, horizon),
        }
        nets = {
            "teacher": untrained_teacher(units["teacher"]),
            "student": GaussianMoE(STUDENT, *units["student"].sizes),
        }
        configs = {"teacher": asdict(TEACHER), "student": asdict(STUDENT), "method": "vdd"}
        for kind, net in nets.items():
            run = Run(kind, configs, contract, units[kind], {})
            save_run(tmp_path / kind, run, net.state_dict())
        save_run(tmp_path / "nll", run, net.state_dict())
        return [f"--{kind}={tmp_path / kind}" for kind in ("teacher", "student")]

    return make


def bench(capsys, *arguments: str) -> tuple[int, dict]:
    few = ["--blocks=2", "--calls=3", "--no-compile", "--no-memory", "--json"]
    code = cli.main(["bench", "latency", *arguments, *few])
    return code, json.loads(capsys.readouterr().out.splitlines()[-1])


@pytest.mark.slow
def test_latency_has_every_row_and_the_forms_agree(runs, capsys):
    teacher, student = runs()
    code, result = bench(
        capsys, teacher, student, "--others", str(Path(student.partition("=")[2]).with_name("nll"))
    )
    assert code == cli.OK and result["ok"]
    forms = {"Python loop", "unrolled graph", "ONNX Loop"}
    forms |= {f"{form}, all threads" for form in forms if form != "Python loop"}
    expected = {(f"teacher-{steps}", form) for steps in (1, 10, 100) for form in forms}
    expected |= {("teacher-10", "torch eager"), ("vdd", "torch eager")}
    expected |= {("floor", f"BLAS sgemv, by {way}") for way in ("columns", "rows")}
    expected |= {("vdd-sample", runtime) for runtime in ("onnxruntime", "numpy")}
    expected |= {
        (name, f"{runtime}, {experts}")
        for name in ("vdd", "nll")
        for runtime in ("onnxruntime", "numpy")
        for experts in ("one expert", "all experts")
    }
    if kernel() is not None:
        expected |= {(name, "compiled, one expert") for name in ("vdd", "nll")}
    assert {(row["policy"], row["form"]) for row in result["rows"]} == expected
    for row in result["rows"]:
        assert row["calls"] in (6, 2) and row["blocks"] == 2
        assert row["p50_us"] <= row["p99_us"] <= row["p999_us"]
    assert set(result["ratios"]) == {
        *(f"teacher{steps}_over_student_p50" for steps in (1, 10, 100)),
        *("student_over_floor_p50", "plain_over_student_p50"),
    }
    assert all(np.isfinite(ratio) for ratio in result["ratios"].values())
    assert result["best_forms"].pop("vdd") == f"{default_runtime(True)}, one expert"
    assert set(result["best_forms"].values()) <= forms
    for name, goal in result["goals"].items():
        if name in result["ratios"]:
            bound, value = goal.get("at most"), goal["value"]
            assert value == result["ratios"][name]
            assert goal["reached"] is (
                value >= goal["at least"] if bound is None else value <= bound
            )
    assert result["rss_mb"] is None and result["goals"]["pss_mb"]["reached"] is None
    assert set(result["missing"]) == {"torch.compile", "memory of the action node"}
    assert 0.0 < result["largest_difference"] < 1e-3
    assert 0.8 <= result["parameters"]["ratio"] <= 1.0
    assert 0.0 < result["cpu_share"] < 1.1


@pytest.mark.parametrize(("width", "comparable"), [(7, False), (8, True), (10, True), (11, False)])
def test_latencies_are_compared_between_equal_sizes_only(width, comparable):
    found = parameters_of(
        torch.nn.Linear(10, 10, bias=False), torch.nn.Linear(10, width, bias=False)
    )
    assert found["comparable"] is comparable
    assert found["student"] == 10 * width and found["ratio"] == width / 10


def test_a_student_of_other_chunks_is_refused(runs, capsys):
    assert cli.main(["bench", "latency", *runs(horizon=5)]) == cli.USER_ERROR
    assert "distilled from" in capsys.readouterr().err


def test_no_blocks_are_refused(tmp_path, capsys):
    arguments = [f"--teacher={tmp_path}", f"--student={tmp_path}", "--blocks=0"]
    assert cli.main(["bench", "latency", *arguments]) == cli.USER_ERROR
    assert "0 blocks" in capsys.readouterr().err


@pytest.mark.parametrize(("net", "prediction"), [("mlp", "epsilon"), ("transformer", "v")])
def test_composed_graphs_sample_every_kind_of_teacher(net, prediction):
    """Against the sampler in torch, which is exported as a whole elsewhere."""
    normalizer, noise = normalizer_for(7, TEACHER.horizon), NoiseConfig()
    config = replace(TEACHER, net=net, prediction=prediction)
    teacher = make_teacher(config, *normalizer.sizes).eval()
    torch.nn.init.normal_(teacher.net.leave.weight, std=0.2)
    sampler = SamplerConfig("euler", 3)
    schedule = Schedule.through(sampler.sigmas(noise))
    pieces = export_pieces(teacher, normalizer, noise.sigma_max, (config.n_obs_steps, 7))
    rng = np.random.default_rng(0)
    window = rng.normal(size=(config.n_obs_steps, 7))
    start = rng.normal(size=(1, normalizer.sizes[-1]))
    expected = Eager(ActingTeacher(teacher, normalizer, noise, sampler)).infer(window, start)
    for graph in (unrolled(pieces, schedule), looped(pieces, schedule)):
        found = opened(OnnxPolicy, graph).infer(window, start)
        np.testing.assert_allclose(found.means, expected.means, atol=1e-4)


def test_the_floor_reads_what_the_call_reads():
    """Of the stack of heads one, and what is folded is no longer there."""
    normalizer = normalizer_for(7, TEACHER.horizon)
    student = GaussianMoE(STUDENT, *normalizer.sizes).eval()
    graph = expert_graph(student, normalizer, (TEACHER.n_obs_steps, 7))
    width, octaves = STUDENT.width, 2 * 7 * STUDENT.octaves
    features, (_, _, rank) = 7 + octaves, normalizer.sizes
    chunk = 7 * TEACHER.horizon
    expected = [(octaves, 7), (width, features), (width, features), (width, width)]
    expected += [(width, width)] * 2 + [(STUDENT.n_experts, width)]
    expected += [(chunk, 7 + 49), (rank, width), (chunk, rank)]
    assert [matrix.shape for matrix in matrices(graph)] == expected
    floor, rng = Floor(graph), np.random.default_rng(0)
    for multiply in (floor.by_columns, floor.by_rows):
        for _, x, y in floor.layers:
            x[:], y[:] = rng.normal(size=x.shape), np.nan
        multiply()
        for a, x, y in floor.layers:
            np.testing.assert_allclose(y, a @ x, atol=1e-4)


def test_composed_graphs_hold_the_weights_once():
    normalizer = normalizer_for(7, TEACHER.horizon)
    window_shape = (TEACHER.n_obs_steps, 7)
    pieces = export_pieces(untrained_teacher(normalizer), normalizer, 40.0, window_shape)
    schedule = Schedule.through(sigma_grid(NoiseConfig(), 20, 0.03))
    own = sum(matrix.size for matrix in matrices(pieces.step.SerializeToString()))
    for graph in (unrolled(pieces, schedule), looped(pieces, schedule)):
        model = onnx.load_from_string(graph)
        onnx.checker.check_model(model, full_check=True)
        stored = sum(int(np.prod(weight.dims)) for weight in model.graph.initializer)
        assert own < stored < 1.2 * own


def test_timing_takes_turns_and_ratios_are_medians_over_blocks():
    """The clock advances by what a call is said to cost."""
    now, order = 0, []
    costs = {"a": itertools.repeat(2000), "b": itertools.cycle([4000] * 10 + [40_000])}

    def calls(name):
        def call():
            nonlocal now
            now += next(costs[name])
            order.append(name)

        return call

    timings = in_turns({name: calls(name) for name in costs}, lambda: now, 3, 5)
    measured = "".join(order[2 * WARM_UP :])
    assert measured == "aaaaabbbbb" + "bbbbbaaaaa" + "aaaaabbbbb"
    assert timings["a"].samples_us.shape == (3, 5) and timings["a"].warm_up == WARM_UP
    assert p50_ratio(timings["b"], timings["a"]) == 2.0


def test_slow_calls_are_made_less_often():
    now = 0

    def call():
        nonlocal now
        now += 6_000_000

    timing = in_turns({"slow": call}, lambda: now, 2, 100)["slow"]
    assert timing.samples_us.shape == (2, 100 // SLOW_SHARE)
    assert timing.warm_up == WARM_UP // SLOW_SHARE
    assert timing.percentile_us(50) == 6000.0


def test_pinning_is_undone():
    before = os.sched_getaffinity(0)
    with pinned_to_one_core() as core:
        assert core is None or os.sched_getaffinity(0) == {core}
    assert os.sched_getaffinity(0) == before
