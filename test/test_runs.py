"""`vdd train` and `vdd distill` as a person uses them: killed and taken up, shared, watched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from recordings import record
from small_runs import (
    BATCH,
    KILLER,
    STEPS,
    distill,
    killed,
    random_step,
    train,
    vdd,
    weights,
    words,
)

from vdd_ros import cli
from vdd_ros.inference import OnnxPolicy
from vdd_ros.policies.metrics_log import read_metrics
from vdd_ros.policies.moe import k_means
from vdd_ros.policies.pool import PoolConfig, training_pool
from vdd_ros.policies.runs import load_student, load_teacher, load_windows
from vdd_ros.policies.teacher import SamplerConfig

ROOT = Path(__file__).resolve().parents[1]
AUTOENCODER = """
import sys
from pathlib import Path
import torch.distributed
from vdd_ros.policies.checkpoint import fingerprint
from vdd_ros.policies.chunk_autoencoder import autoencoder_of
from vdd_ros.policies.distributed import process_group
from vdd_ros.policies.runs import load_teacher
from vdd_ros.policies.training import TrainingConfig

with process_group():
    training = TrainingConfig(steps=20, batch_size=8)
    net = autoencoder_of(load_teacher(sys.argv[1]), training=training)
    told = fingerprint({}, *net.parameters())
    Path(sys.argv[2], str(torch.distributed.get_rank())).write_text(told)
"""


@pytest.fixture(scope="module")
def episodes(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "episodes"
    for seconds in (0.5, 0.6, 0.4):
        record(folder, seconds)
    return folder


@pytest.fixture(scope="module")
def teacher(episodes) -> Path:
    vdd(*train(episodes, episodes.parent / "teacher"))
    return episodes.parent / "teacher"


def same_figures(run: Path) -> list[dict]:
    """The lines of metrics.jsonl without what a clock says."""
    clocks = ("seconds", "cpu_seconds", "examples_per_second")
    return [
        {name: value for name, value in line.items() if name not in clocks}
        for line in read_metrics(run)
    ]


@pytest.mark.parametrize("seed", [0, 1])
def test_a_killed_training_ends_as_if_it_had_not_been(episodes, teacher, tmp_path, seed):
    given = train(episodes, tmp_path / "run")
    killed("learn", "denoising_loss", random_step(seed), given)
    assert not (tmp_path / "run" / "run.json").exists()
    assert list((tmp_path / "run").glob("state-*"))
    vdd(*given)
    whole, resumed = weights(teacher), weights(tmp_path / "run")
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert not list((tmp_path / "run").glob("state-*"))
    assert same_figures(teacher) == same_figures(tmp_path / "run")


def test_so_does_one_that_is_killed_while_it_saves_itself(episodes, teacher, tmp_path):
    given = train(episodes, tmp_path / "run")
    killed("training_state", "save_tensors", 3, given)
    assert list((tmp_path / "run").glob("state-*.part"))
    vdd(*given)
    whole, resumed = weights(teacher), weights(tmp_path / "run")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert not list((tmp_path / "run").glob("state-*"))


@pytest.mark.parametrize("method", ["vdd", "vdd-paper"])
def test_a_killed_distillation_ends_as_if_it_had_not_been(teacher, tmp_path, method):
    def given(name: str) -> list[str]:
        return distill(teacher, tmp_path / name, "--method", method, "--start", "k-means")

    vdd(*given("whole"))
    for start in teacher.glob("start-*"):  # or the other one would not begin at the beginning
        start.unlink()
    turns = 1 if method == "vdd" else 3  # of a step; killed between those of one
    killed("training", "Turn", turns * random_step(2) + 1, given("killed"))
    vdd(*given("killed"))
    whole, resumed = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def together(*program: str) -> subprocess.CompletedProcess:
    """Run a program in two processes by torchrun, over loopback."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", *program]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)


def vdd_together(*given: str) -> str:
    """Run `vdd` in two processes; returns what they printed."""
    done = together("-m", "vdd_ros.cli", *given)
    assert done.returncode == 0, done.stderr
    return done.stdout


def assert_alike(one: Path, other: Path) -> None:
    """Two runs' losses, gradients and weights, but for what rounding does to them."""
    lines, others = same_figures(one), same_figures(other)
    assert [line["step"] for line in lines] == [line["step"] for line in others] == [50, STEPS]
    for line, beside in zip(lines, others, strict=True):
        assert line == pytest.approx(beside, rel=1e-4, abs=1e-6)
    whole, shared = weights(one), weights(other)
    for name in whole:
        torch.testing.assert_close(whole[name], shared[name], rtol=1e-3, atol=1e-4)


def test_two_processes_train_as_one_with_twice_the_batch(episodes, tmp_path):
    vdd(*train(episodes, tmp_path / "one", batch=2 * BATCH))
    printed = vdd_together(*train(episodes, tmp_path / "two"), "--json")
    assert_alike(tmp_path / "one", tmp_path / "two")
    assert printed.count("teacher of") == printed.count("{") == 1, "one of them speaks"


@pytest.mark.slow
def test_two_processes_take_up_what_was_killed(episodes, tmp_path):
    killer, given = tmp_path / "killer.py", train(episodes, tmp_path / "two")
    killer.write_text(KILLER)
    done = together(str(killer), "learn", "denoising_loss", str(random_step(3)), *given)
    assert done.returncode != 0
    assert list((tmp_path / "two").glob("state-*"))
    vdd_together(*given)
    vdd(*train(episodes, tmp_path / "one", batch=2 * BATCH))
    assert_alike(tmp_path / "one", tmp_path / "two")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["vdd", "vdd-paper", "kd"])
def test_two_processes_distil_as_one_with_twice_the_batch(teacher, tmp_path, method):
    def given(name: str, batch: int, observations: int) -> list[str]:
        if method == "kd":
            how = ["--method", method]
            return distill(teacher, tmp_path / name, *how, batch=batch, student=())
        how = ["--method", method, "--objective", f"observations={observations}"]
        how += ["--objective", "start=0.5"] if method == "vdd" else []
        return distill(teacher, tmp_path / name, *how, batch=batch)

    vdd(*given("one", 2 * BATCH, 8))
    vdd_together(*given("two", BATCH, 4))
    assert_alike(tmp_path / "one", tmp_path / "two")


@pytest.mark.slow
def test_two_processes_learn_one_latent_space(teacher, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(AUTOENCODER)
    done = together(str(program), str(teacher), str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "0").read_text() == (tmp_path / "1").read_text() != ""
    assert len(list(teacher.glob("autoencoder-*"))) == 1


def test_the_log_says_how_a_training_went(teacher):
    lines = read_metrics(teacher)
    assert [line["step"] for line in lines] == [50, STEPS]
    for line in lines:
        assert line.keys() == {
            *("step", "loss", "gradient_norm", "rate"),
            *("seconds", "cpu_seconds", "examples_per_second"),
        }
        assert all(value > 0.0 for value in line.values())


def test_other_players_have_figures_of_their_own(teacher, tmp_path):
    vdd(*distill(teacher, tmp_path / "run", "--method", "vdd-paper"))
    names = read_metrics(tmp_path / "run")[-1].keys()
    assert {"loss", "gradient_norm", "loss/gating", "gradient_norm/gating"} < names


def test_experts_can_begin_at_k_means_of_the_teachers_samples(teacher, tmp_path):
    """Seen with a training that moves nothing to speak of."""
    still = ["--training.learning-rate", 1e-9, "--method", "nll", "--student.octaves", 0]
    student = {}
    for start in ("random", "k-means"):
        vdd(*distill(teacher, tmp_path / start, *still, "--start", start))
        student[start] = load_student(tmp_path / start).moe.mean.bias.view(3, -1)
    samples = training_pool(
        load_teacher(teacher), PoolConfig(200), SamplerConfig("euler", 2), seed=0
    ).samples
    torch.testing.assert_close(student["k-means"], k_means(samples, 3, seed=0), atol=1e-4, rtol=0)
    assert not torch.allclose(student["random"], student["k-means"], atol=0.1)


def test_the_run_says_how_many_experts_are_left(teacher, tmp_path, capsys):
    out = tmp_path / "run"
    vdd(*distill(teacher, out, "--method", "nll", "--prune", 0.999, "--json"))
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["experts"] == 1
    student = load_student(out)
    assert student.config.n_experts == 1
    assert student.notes["experts"] == {"given": 3, "kept": 1, "prune": 0.999}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["--method", "teacher-1"], "needs no training: `vdd export --run TEACHER"),
        (["--method", "nobodys"], "no method 'nobodys': choose one of vdd, vdd-paper, nll, em"),
        (["--method", "imc", "--objective", "start=0.5"], "imc has no setting 'start', only eta"),
        (["--objective", "start=1.5"], "start and settle are shares of the training"),
        (["--objective", "start=soon"], "vdd: start is 'soon'; write a number"),
        (["--objective", "start"], "'start' is no setting: write NAME=VALUE, such as"),
        (["--objective", "start=1", "--objective", "start=2"], "start is given twice, 1 and 2"),
        (["--prune", "1.0"], "prune is 1.0; it is a share of the gating"),
    ],
)
def test_what_cannot_be_distilled_is_said_in_one_sentence(
    teacher, tmp_path, capsys, given, sentence
):
    assert cli.main(words(*distill(teacher, tmp_path / "run", *given))) == 2
    told = capsys.readouterr().err
    assert sentence in told and told.count("\n") == 1


def test_the_teacher_with_one_step_is_exported_as_it_is(teacher, tmp_path):
    """Its chunk is the denoised pure noise."""
    bundle = tmp_path / "teacher-1"
    how = ["--name", "teacher-1", "--sampler-steps", 1, "--candidates", 1]
    vdd("export", "--run", teacher, "--out", bundle, *how)
    policy, run = OnnxPolicy(bundle / "policy.onnx"), load_teacher(teacher)
    window = load_windows(run, held_out=True).observations[0]
    noise = np.random.default_rng(0).normal(size=policy.noise_shape)
    sigma = run.config.noise.sigma_max
    cond = torch.tensor(run.normalizer.features(window)[None], dtype=torch.float32)
    x = sigma * torch.tensor(noise, dtype=torch.float32)
    with torch.no_grad():
        chunk = run.denoiser.denoise(x, torch.tensor([sigma]), cond).double().numpy()
    expected = run.normalizer.unnormalize(chunk, window)
    np.testing.assert_allclose(policy.infer(window, noise).means, expected, atol=1e-4)
