"""Students that make a chunk of noise as people have them: distilled, killed, exported, acting."""

from __future__ import annotations

import json
import shutil
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from recordings import record
from small_runs import distill, killed, random_step, train, vdd, weights, words

from vdd_ros import cli
from vdd_ros.action_space import action_space
from vdd_ros.bundle import Bundle
from vdd_ros.commands.sweep.choices import StudentPlan
from vdd_ros.errors import UserError
from vdd_ros.normalizer import Normalizer
from vdd_ros.planner import Planner
from vdd_ros.policies.acting_few_step import ActingFewStep, few_step_graph
from vdd_ros.policies.certify import PARITY_BOUND, parity
from vdd_ros.policies.checkpoint import checkpoint_hash
from vdd_ros.policies.distil_few_step import distil_few_step, require_hardly_larger
from vdd_ros.policies.nets import count_parameters
from vdd_ros.policies.noise import NoiseConfig
from vdd_ros.policies.objectives import FEW_STEP
from vdd_ros.policies.objectives.few_step import FewStep
from vdd_ros.policies.objectives.settings import METHODS, objective_of, settings_of
from vdd_ros.policies.pool import PoolConfig, paired_pool
from vdd_ros.policies.runs import (
    FewStepStudent,
    load_any_student,
    load_student,
    load_teacher,
    load_windows,
)
from vdd_ros.policies.samplers.guided import Refinement
from vdd_ros.policies.teacher import SamplerConfig, TeacherConfig, follow, make_teacher
from vdd_ros.policies.training import TrainingConfig
from vdd_ros.stream import Window

SETTINGS = {
    "kd": ["sigma_max=20"],
    "cd": ["levels=6", "follow=average"],
    "progressive": ["steps=8", "ends=2"],
}
# ask what a teacher says without an observation, which this one does not know
WITHOUT_OBSERVATION = ("guidance", "nfsd")
NFE = {"kd": 1, "cd": 1, "progressive": 2}


def few_step(teacher: Path, out: Path, method: str, *more: object) -> list[str]:
    """Words that distil by that method, its SETTINGS unless there are others in `more`."""
    own = () if "--objective" in more else ("--objective", *SETTINGS[method])
    return distill(teacher, out, "--method", method, *own, *more, student=())


@pytest.fixture(scope="module")
def teacher(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("few-step")
    for seconds in (0.5, 0.6, 0.4):
        record(folder / "episodes", seconds)
    vdd(*train(folder / "episodes", folder / "teacher"))
    return folder / "teacher"


@pytest.fixture(scope="module", params=SETTINGS)
def run(request, teacher) -> Path:
    """Of each method one."""
    out = teacher.with_name(request.param)
    vdd(*few_step(teacher, out, request.param))
    return out


def test_the_run_knows_its_method_and_its_teachers_noise(teacher, run):
    student, of_teacher = load_any_student(run), load_teacher(teacher)
    assert isinstance(student, FewStepStudent) and student.method == run.name
    assert student.nfe == NFE[run.name]
    assert student.notes == of_teacher.notes | {"teacher_hash": checkpoint_hash(teacher)}
    noise, objective = of_teacher.config.noise, student.objective
    assert objective.sigma_min == noise.sigma_min
    assert objective.sigma_max == (20.0 if run.name == "kd" else noise.sigma_max)
    assert student.net.boundary == (noise.sigma_min if run.name == "cd" else 0.0)
    assert count_parameters(student.net) == count_parameters(of_teacher.denoiser)
    saved = weights(run)
    assert any(not torch.equal(saved[name], one) for name, one in weights(teacher).items())


def test_the_bundle_says_what_it_is_and_does_what_the_student_does(teacher, run, tmp_path):
    how = ["--run", run, "--teacher", teacher, "--out", tmp_path / "bundle", "--candidates", 3]
    vdd("export", *how)
    bundle, student = Bundle.load(tmp_path / "bundle"), load_any_student(run)
    manifest, policy = bundle.manifest, bundle.open_policy()
    assert (manifest.kind, manifest.method, manifest.nfe) == ("diffusion", run.name, NFE[run.name])
    assert manifest.is_stochastic is False and manifest.n_experts == 3
    assert "3 candidates" in bundle.acting and "sample" in bundle.acting
    window = load_windows(load_teacher(teacher), held_out=True).observations[0]
    noise = np.random.default_rng(0).normal(size=policy.noise_shape).astype(np.float32)
    cond = torch.tensor(student.normalizer.features(window), dtype=torch.float32).expand(3, -1)
    with torch.no_grad():
        starts = student.objective.sigma_max * torch.tensor(noise)
        chunks = student.objective.sample(student.net, starts, cond).double().numpy()
    expected = student.normalizer.unnormalize(chunks, window)
    found = policy.infer(window, noise)
    np.testing.assert_allclose(found.means, expected, atol=1e-4)
    np.testing.assert_allclose(np.exp(found.log_gating), np.full(3, 1 / 3), atol=1e-6)
    contract, rng = bundle.contract, np.random.default_rng(1)
    planner = Planner(contract, policy, bundle.rule, rng, action_space(contract))
    plan = planner.plan(Window(window, np.zeros((1, 1), np.int64), 0), None, 1)
    assert plan.fault is None and plan.steps.shape == (4, contract.action_dim)


def test_a_teacher_in_the_bundle_refines_what_the_student_does(teacher, run, tmp_path):
    how = ["--run", run, "--teacher", teacher, "--candidates", 2, "--refine.weight", 0.5]
    how += ["--refine.steps", 3, "--refine.last", 0.1]
    vdd("export", *how, "--out", tmp_path / "bundle")
    bundle = Bundle.load(tmp_path / "bundle")
    manifest, policy = bundle.manifest, bundle.open_policy()
    levels = load_any_student(run).objective.refined_levels(Refinement(0.5, 3, 0.1))
    assert manifest.method == f"{run.name}, refined with weight 0.5" and manifest.is_stochastic
    assert manifest.nfe == NFE[run.name] + len(levels) and levels
    window = load_windows(load_teacher(teacher), held_out=True).observations[0]
    noise = np.random.default_rng(0).normal(size=policy.noise_shape).astype(np.float32)
    vdd("export", "--run", run, "--teacher", teacher, "--candidates", 2, "--out", tmp_path / "own")
    plain = Bundle.load(tmp_path / "own").open_policy()
    own = policy.noise_shape[1] - plain.noise_shape[1]
    assert own == len(levels) * 5
    refined, alone = policy.infer(window, noise), plain.infer(window, noise[:, :-own])
    assert np.isfinite(refined.means).all() and not np.allclose(refined.means, alone.means)


def test_a_refinement_that_cannot_be_is_refused(teacher, tmp_path, capsys):
    runs = {name: teacher.with_name(name) for name in ("kd", "nll")}
    for name, folder in runs.items():
        if not folder.exists():
            own = few_step(teacher, folder, name) if name == "kd" else distill(teacher, folder)
            vdd(*own)
    other = tmp_path / "other"
    record(tmp_path / "episodes", 0.5)
    record(tmp_path / "episodes", 0.7)
    vdd(*train(tmp_path / "episodes", other))
    older = shutil.copytree(runs["kd"], tmp_path / "older")  # runs did not name their teacher
    told = json.loads((older / "run.json").read_text())
    del told["notes"]["teacher_hash"]
    (older / "run.json").write_text(json.dumps(told))
    for run, of, more, sentence in (
        (runs["kd"], teacher, {"weight": 2.0}, "weight is from 0 to 1"),
        (runs["kd"], teacher, {"weight": 0.5}, "kd has no step to refine: name the noise level"),
        (runs["kd"], teacher, {"weight": 0.5, "last": 0.1, "steps": 0}, "has no step to refine"),
        (runs["kd"], other, {"weight": 0.5, "last": 0.1}, "was distilled from the teacher"),
        (older, other, {"weight": 0.5, "last": 0.1}, "is not the teacher of this student"),
        (runs["nll"], teacher, {"weight": 0.5}, "is for few-step students"),
        (teacher, teacher, {"weight": 0.5}, "is for few-step students"),
    ):
        how = [word for key, value in more.items() for word in (f"--refine.{key}", value)]
        capsys.readouterr()
        out = ["--out", tmp_path / "bundle"]
        assert cli.main(words("export", "--run", run, "--teacher", of, *how, *out)) == 2
        assert sentence in capsys.readouterr().err and not (tmp_path / "bundle").exists()


def test_it_is_judged_as_its_teacher_is(teacher, run, capsys):
    how = ["--judge.observations", 5, "--judge.samples", 4, "--judge.reference", 8]
    vdd("fidelity", "--teacher", teacher, "--students", run, *how, "--threads", 1, "--json")
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])["policies"][run.name]
    assert figures["nfe"] == NFE[run.name] and figures["parameters"] > 0
    for name in ("energy_distance", "sliced_w2", "off_support"):
        assert np.isfinite(figures[name])
    assert figures["nll"] is None and "no density" in figures["missing"]["nll"]


@pytest.mark.parametrize("method", FEW_STEP)
def test_every_method_distils_from_a_run(teacher, tmp_path, method):
    run = load_teacher(teacher)
    objective = objective_of(method, {}, run.config)
    how = {"sampler": SamplerConfig("euler", 2), "allow_larger": True}  # than a teacher so small
    training = TrainingConfig(steps=2, batch_size=8, bf16=False)
    given = run, tmp_path / "run", method, training, objective, PoolConfig(32)
    if method in WITHOUT_OBSERVATION:
        with pytest.raises(UserError, match="never trained without an observation"):
            distil_few_step(*given, **how)
        return
    student = distil_few_step(*given, **how)
    cond = torch.zeros(3, run.normalizer.sizes[1])
    chunks = student.sample(cond, torch.Generator().manual_seed(0))
    assert chunks.shape == (3, 5) and chunks.isfinite().all()
    assert not torch.equal(chunks[0], chunks[1])


def test_who_needs_a_density_refuses_it(run):
    with pytest.raises(UserError, match="has no density: name a mixture, by vdd"):
        load_student(run)


def test_a_killed_distillation_ends_as_if_it_had_not_been(teacher, tmp_path):
    """Of the method that keeps another network beside the student."""
    vdd(*few_step(teacher, tmp_path / "whole", "progressive"))
    given = few_step(teacher, tmp_path / "killed", "progressive")
    killed("training", "Turn", random_step(2) + 1, given)
    vdd(*given)
    whole, resumed = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert not list((tmp_path / "killed").glob("state-*"))


def test_pairs_are_where_the_ode_leads_and_are_drawn_once(teacher):
    run, sampler = load_teacher(teacher), SamplerConfig("heun", 3)
    noise = NoiseConfig(sigma_min=0.02, sigma_max=10.0)
    pool = paired_pool(run, PoolConfig(64), sampler, noise, seed=3)
    assert pool.starts.std() == pytest.approx(10.0, rel=0.2)
    rows = slice(5, 9)
    again = follow(run.denoiser.denoise, pool.starts[rows], pool.cond[rows], noise, sampler)
    torch.testing.assert_close(again, pool.samples[rows], rtol=1e-4, atol=1e-5)
    others = follow(run.denoiser.denoise, -pool.starts[rows], pool.cond[rows], noise, sampler)
    assert not torch.allclose(others, pool.samples[rows], atol=0.1)
    kept = {path: path.stat().st_mtime_ns for path in teacher.glob("ends-*")}
    same = paired_pool(run, PoolConfig(64), sampler, noise, seed=3)
    assert all(map(torch.equal, same[:2], pool[:2])) and torch.equal(same.starts, pool.starts)
    assert {path: path.stat().st_mtime_ns for path in teacher.glob("ends-*")} == kept


@pytest.mark.parametrize(
    ("method", "more", "sentence"),
    [
        (
            "kd",
            ["--objective", "levels=3"],
            "kd has no setting 'levels', only sigma_min",
        ),
        ("cd", ["--objective", "metric=l1"], "metric is 'l1'; write one of huber, square"),
        ("cd", ["--objective", "levels=2.5"], "levels is '2.5'; write a whole number"),
        ("kd", ["--objective", "sigma_max=80"], "its teacher knows 0.01 to 40: choose sigma_min"),
        ("kd", ["--objective", "sigma_max=nan"], "sigma_max is 'nan'; write a number"),
        (
            "kd",
            ["--sampler.name", "ancestral"],
            "not follow, as it adds noise: use one of euler",
        ),
        ("cd", ["--pool.between", "0.5"], "cd learns from demonstrations"),
        ("kd", ["--student.width", "8"], "--student is for mixtures: leave it out"),
        ("kd", ["--start", "k-means"], "--start is for mixtures"),
    ],
)
def test_what_cannot_be_distilled_is_said_in_one_sentence(
    teacher, tmp_path, capsys, method, more, sentence
):
    assert cli.main(few_step(teacher, tmp_path / "run", method, *more)) == 2
    told = capsys.readouterr().err
    assert sentence in told and told.count("\n") == 1
    assert not (tmp_path / "run" / "run.json").exists()


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda raw: raw["configs"].pop("objective"), "run.json is damaged (lacks 'objective')"),
        (lambda raw: raw["configs"]["objective"].update(nobodys=1), "(kd has no setting 'nobodys'"),
        (lambda raw: raw["configs"].pop("teacher"), "run.json is damaged (lacks 'teacher')"),
        (lambda raw: raw["configs"]["teacher"].update(width=24), "do not fit their own config"),
        (lambda raw: raw["configs"].update(method="nobodys"), "run.json is damaged"),
    ],
)
def test_a_damaged_run_is_said_in_one_sentence(teacher, tmp_path, capsys, damage, sentence):
    source = teacher.with_name("kd")
    if not source.exists():
        vdd(*few_step(teacher, source, "kd"))
    shutil.copytree(source, tmp_path / "run")
    path = tmp_path / "run" / "run.json"
    raw = json.loads(path.read_text())
    damage(raw)
    path.write_text(json.dumps(raw))
    how = ["--run", tmp_path / "run", "--teacher", teacher, "--out", tmp_path / "bundle"]
    capsys.readouterr()
    assert cli.main(words("export", *how)) == 2
    assert sentence in capsys.readouterr().err and not (tmp_path / "bundle").exists()


def test_every_method_is_listed_with_its_student_and_paper(capsys):
    vdd("distill", "--list", "--json")
    *text, line = capsys.readouterr().out.splitlines()
    listed = {one["name"]: one for one in json.loads(line)["methods"]}
    assert list(listed) == [*METHODS, "teacher-1"]
    assert {name for name, one in listed.items() if one["student"] == "few-step"} == {*FEW_STEP}
    for name, kind in METHODS.items():
        (own,) = [row for row in text if row.split()[:1] == [name]]
        assert kind.summary in own and kind.paper in own
        assert listed[name]["settings"].keys() == settings_of(name).keys()
    assert all(listed[name]["paper"] for name in FEW_STEP)


@pytest.mark.parametrize("method", METHODS)
def test_every_setting_says_what_may_be_written_and_reads_its_default(method):
    for one in settings_of(method).values():
        assert one.allowed and one.read(one.default) == one.default
        if not isinstance(one.default, tuple):
            text = "none" if one.default is None else str(one.default)
            assert one.read(text) == one.default
    assert objective_of(method, {}) == METHODS[method]()


def test_settings_are_shown_with_their_defaults(capsys):
    vdd("distill", "--method", "cd", "--help-settings")
    told = capsys.readouterr().out
    assert "one of huber, square" in told and "40" in told and "noise levels from sigma_max" in told


def test_a_student_knows_no_noise_beyond_what_its_ddpm_teacher_was_trained_at():
    config = TeacherConfig(prediction="epsilon", levels=100)
    objective, noise = objective_of("cd", {"levels": "7"}, config), config.sampling_noise
    assert (objective.sigma_min, objective.sigma_max) == (noise.sigma_min, noise.sigma_max)
    assert objective.levels == 7 and noise.sigma_min > config.noise.sigma_min


@dataclass(frozen=True)
class Renoised(FewStep):
    """Nobody's method: sampled in three calls with new noise between them."""

    @property
    def recipe(self) -> SamplerConfig:
        return SamplerConfig("renoised", 3)


def untrained(objective, prediction="edm") -> tuple[ActingFewStep, Normalizer, np.ndarray]:
    """A student that makes something of its inputs, its units, and windows for it."""
    rng = np.random.default_rng(0)
    windows = rng.normal(size=(20, 2, 3)).cumsum(1)
    chunks = windows[:, -1:] ** 2 + rng.normal(size=(20, 4, 3))
    normalizer = Normalizer.fit(windows, chunks, 5, rng)
    torch.manual_seed(0)
    config = TeacherConfig(2, 4, 5, width=16, blocks=1, prediction=prediction)
    begin = make_teacher(config, *normalizer.sizes)
    torch.nn.init.normal_(begin.net.leave.weight, std=0.2)
    net = objective.student(begin)
    return ActingFewStep(net, normalizer, objective).eval(), normalizer, windows


def test_all_noise_that_a_recipe_draws_is_an_input_of_its_graph(tmp_path):
    acting, normalizer, windows = untrained(Renoised())
    assert acting.noise_size == 3 * 5
    path = tmp_path / "policy.onnx"
    path.write_bytes(few_step_graph(acting, windows.shape[1:], candidates=2))
    assert parity(path, acting, windows, seed=0)["largest_mean_error"] < PARITY_BOUND
    window = torch.tensor(windows[0], dtype=torch.float32)
    noise = torch.randn(2, 15, generator=torch.Generator().manual_seed(0))
    cond = torch.tensor(normalizer.features(windows[0]), dtype=torch.float32).expand(2, -1)
    drawn = iter([noise[:, 5:10], noise[:, 10:]])
    starts = acting.objective.sigma_max * noise[:, :5]
    with torch.no_grad():
        chunks = acting.objective.sample(acting.student, starts, cond, lambda like: next(drawn))
        found = acting(window, noise)[1].numpy()
    expected = normalizer.unnormalize(chunks.double().numpy(), windows[0])
    np.testing.assert_allclose(found, expected, atol=1e-4)


# one method for each way to sample that some of them have
WAYS = {kind.sample: name for name, kind in reversed(FEW_STEP.items())}.values()


@pytest.mark.parametrize("method", WAYS)
def test_every_way_to_sample_can_be_exported(tmp_path, method):
    acting, _, windows = untrained(FEW_STEP[method]())
    path = tmp_path / "policy.onnx"
    path.write_bytes(few_step_graph(acting, windows.shape[1:]))
    found = parity(path, acting, windows[:5], seed=0)
    assert 0.0 < found["largest_mean_error"] < PARITY_BOUND


@pytest.mark.parametrize("prediction", ["edm", "epsilon", "v"])
def test_a_consistency_function_changes_nothing_at_its_boundary_whatever_is_predicted(prediction):
    acting, normalizer, _ = untrained(FEW_STEP["cd"](), prediction)
    x = torch.randn(6, 5, generator=torch.Generator().manual_seed(1))
    cond, net = torch.zeros(6, normalizer.sizes[1]), acting.student
    boundary, above = torch.tensor([net.boundary]), torch.tensor([3.0])
    with torch.no_grad():
        torch.testing.assert_close(net(x, boundary, cond), x, rtol=0, atol=1e-6)
        function = net(3.0 * x, above, cond)
        net.boundary = 0.0
        torch.testing.assert_close(function, net(3.0 * x, above, cond), rtol=0.05, atol=0.05)
        assert not torch.allclose(function, 3.0 * x, atol=0.5)


def test_a_plan_of_a_sweep_has_their_settings_checked():
    assert not StudentPlan(method="kd", objective={"sigma_max": 20}).is_mixture
    for changes, message in (
        ({"objective": {"nu": 1}}, "kd has no setting 'nu'"),
        ({"objective": {"sigma_max": "wide"}}, "sigma_max is 'wide'; write a number"),
        ({"objective": {"share": 0}}, "share is 0.0; it is above 0"),
        ({"objective": {"space": "tool"}}, "plans tell of no kinematics"),
        ({"student": {"width": 8}}, "leave out student, start, prune"),
        ({"prune": 0.1}, "leave out student, start, prune"),
    ):
        with pytest.raises(ValueError, match=message):
            StudentPlan(method="kd", **changes)


@pytest.mark.parametrize(("share", "is_allowed"), [(0.04, True), (0.06, False)])
def test_further_inputs_may_make_a_student_a_little_larger(teacher, share, is_allowed):
    run = load_teacher(teacher)
    student = objective_of("kd", {}).student(run.denoiser)
    student.more = torch.nn.Parameter(torch.zeros(int(share * count_parameters(student))))
    with nullcontext() if is_allowed else pytest.raises(UserError, match="no more than 5% may be"):
        require_hardly_larger(student, run)
