"""`vdd bench distill`: what is counted, what is not, and that it distils as `vdd distill` does."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vdd_ros import cli
from vdd_ros.errors import UserError
from vdd_ros.normalizer import Normalizer
from vdd_ros.policies.checkpoint import Run, save_run, save_tensors
from vdd_ros.policies.cost import (
    Checkpoint,
    CountedTeacher,
    Setup,
    cost_curve,
    cost_ratios,
    first_as_close,
)
from vdd_ros.policies.distil import distil, make_student
from vdd_ros.policies.judge import Judge, JudgeConfig
from vdd_ros.policies.moe import StudentConfig
from vdd_ros.policies.objectives import OBJECTIVES, Vdd, VddPaper, fit
from vdd_ros.policies.pool import PoolConfig, fresh_pool, training_pool
from vdd_ros.policies.runs import Teacher, load_teacher
from vdd_ros.policies.teacher import SamplerConfig, TeacherConfig, make_teacher
from vdd_ros.policies.training import TrainingConfig

COUNT, HORIZON, DIM, RANK, EXPERTS = 60, 4, 3, 5, 3
STEPS, POOL, START = 150, 20, 0.8  # vdd asks its teacher from step 120 on
SAMPLER = SamplerConfig("heun", 2)  # 3 network evaluations
QUICK = JudgeConfig(observations=6, samples=5, reference=8, sampler=SamplerConfig("euler", 2))
SETUP = Setup(
    StudentConfig(n_experts=EXPERTS, width=16, blocks=1, bottleneck=4),
    TrainingConfig(steps=STEPS, batch_size=8, ema_decay=0.9, bf16=False),
    every=50,
    pool=PoolConfig(POOL),
    sampler=SAMPLER,
    allow_larger=True,
)
OBJECTIVE = {
    "vdd": Vdd(observations=4, samples=2, start=START),
    "vdd-paper": VddPaper(observations=5, samples=2, expert_updates=3),
}
COMMAND = [
    "--every=50", "--threads=1", f"--pool.size={POOL}", "--sampler.steps=2", "--allow-larger",
    f"--student.n-experts={EXPERTS}", "--student.width=16", "--student.blocks=1",
    "--student.bottleneck=4", "--training.batch-size=8", "--training.steps=120",
    "--judge.observations=6", "--judge.samples=5", "--judge.reference=8", "--judge.sampler.steps=2",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory, contract) -> Path:
    """The run of an untrained teacher, with windows of three episodes, one of them held out."""
    folder, rng = tmp_path_factory.mktemp("runs") / "teacher", np.random.default_rng(0)
    observations = rng.normal(size=(COUNT, 1, DIM))
    episode = np.arange(COUNT) // 20
    windows = {
        "observations": observations,
        "chunks": observations + rng.normal(size=(COUNT, HORIZON, DIM)).cumsum(1),
        "is_pad": np.zeros((COUNT, HORIZON), bool),
        "episode": episode,
        "is_held_out": episode == 2,
    }
    config = TeacherConfig(horizon=HORIZON, width=16, blocks=1)
    normalizer = Normalizer.fit(observations, windows["chunks"], RANK, rng)
    torch.manual_seed(2)
    denoiser = make_teacher(config, *normalizer.sizes)
    torch.nn.init.normal_(denoiser.net.leave.weight, std=0.2)  # it starts as zero
    run = Run("teacher", {"teacher": asdict(config)}, contract, normalizer, {})
    save_run(folder, run, denoiser.state_dict())
    tensors = {
        name: torch.tensor(part.astype(np.float32) if part.dtype.kind == "f" else part)
        for name, part in windows.items()
    }
    save_tensors(folder / "windows.safetensors", tensors)
    return folder


@pytest.fixture(scope="module")
def teacher(folder) -> Teacher:
    return load_teacher(folder)


class TimedTeacher:
    """A denoiser that takes a second of its own clock for every row, and a judge that takes an
    hour."""

    def __init__(self, teacher: Teacher):
        self.real, self.now = teacher.denoiser, 0.0

    def denoise(self, x, sigma, cond):
        self.now += len(x)
        return self.real.denoise(x, sigma, cond)

    def energy_distance_of(self, moe) -> float:
        self.now += 3600.0
        return 0.0

    def curve(self, teacher: Teacher, method: str) -> list[Checkpoint]:
        slow = replace(teacher, denoiser=self)
        return cost_curve(slow, self, OBJECTIVE[method], SETUP, clock=lambda: self.now)


def test_a_batch_of_so_many_chunks_is_so_many_calls(teacher):
    counted = CountedTeacher(teacher.denoiser)
    x, sigma, cond = torch.randn(7, RANK), torch.rand(7) + 0.1, torch.randn(7, DIM)
    torch.testing.assert_close(
        counted.denoise(x, sigma, cond), teacher.denoiser.denoise(x, sigma, cond)
    )
    assert counted.calls == 7
    counted.denoise(x[:2], sigma[:2], cond[:2])
    assert counted.calls == 9


def test_vdd_paper_asks_for_what_its_experts_climb_and_for_no_samples(teacher):
    one = OBJECTIVE["vdd-paper"]
    each = one.observations * EXPERTS * one.samples * one.expert_updates
    curve = TimedTeacher(teacher).curve(teacher, "vdd-paper")
    assert [(at.step, at.teacher_calls) for at in curve] == [
        (step, each * step) for step in (50, 100, STEPS)
    ]


def test_vdd_asks_for_its_samples_and_then_in_the_exact_phase(teacher):
    one = OBJECTIVE["vdd"]
    drawn, each = POOL * SAMPLER.nfe, one.observations * EXPERTS * one.samples
    curve = TimedTeacher(teacher).curve(teacher, "vdd")
    assert [(at.step, at.teacher_calls) for at in curve] == [
        (50, drawn), (100, drawn), (STEPS, drawn + 30 * each)
    ]  # fmt: skip


@pytest.mark.parametrize("method", OBJECTIVE)
def test_the_clock_stands_still_while_students_are_judged(teacher, method):
    """Nothing but the teacher and the judge takes time here."""
    timed = TimedTeacher(teacher)
    curve = timed.curve(teacher, method)
    assert [at.seconds for at in curve] == [at.teacher_calls for at in curve]
    assert timed.now == curve[-1].seconds + 3 * 3600.0


@pytest.mark.parametrize("method", OBJECTIVE)
def test_the_last_student_is_the_one_that_is_distilled_otherwise(teacher, tmp_path, method):
    """Judging in between changes nothing of it, and it is judged by the same noise."""
    objective = OBJECTIVE[method]
    curve = cost_curve(teacher, Judge(teacher, QUICK), objective, SETUP)
    student = distil(
        teacher,
        tmp_path / "run",
        method,
        SETUP.student,
        SETUP.training,
        objective,
        PoolConfig(POOL),
        SAMPLER,
        allow_larger=True,
    )
    figures = Judge(teacher, QUICK).of_student(student)
    assert curve[-1].energy_distance == figures["energy_distance"]
    assert len({at.energy_distance for at in curve}) == 3


def test_a_pool_drawn_anew_is_the_one_that_is_kept(teacher):
    kept = training_pool(teacher, PoolConfig(POOL), SAMPLER, 3)
    fresh = fresh_pool(teacher, teacher.denoiser, PoolConfig(POOL), SAMPLER, 3)
    assert all(torch.equal(*parts) for parts in zip(kept, fresh, strict=True))


@pytest.mark.parametrize("method", OBJECTIVES)
def test_a_method_reads_samples_where_it_says_so(teacher, method):
    """What is not drawn is NaN, of which a gradient would be too."""
    objective, training = OBJECTIVES[method](), replace(SETUP.training, steps=1)
    data = fresh_pool(teacher, None, PoolConfig(POOL), SAMPLER, 0)
    student = make_student(teacher, SETUP.student, 0, allow_larger=True)
    if objective.needs_samples:
        with pytest.raises(UserError, match="step 1 has no finite gradient"):
            fit(student, teacher.denoiser, data, objective, training)
    else:
        weights = fit(student, teacher.denoiser, data, objective, training)
        assert all(part.isfinite().all() for part in weights.values())


def test_ratios_are_those_of_the_first_checkpoint_as_close():
    curve = [Checkpoint(50, 10.0, 300, 0.9), Checkpoint(100, 20.0, 400, 0.2),
             Checkpoint(150, 30.0, 900, 0.3), Checkpoint(200, 40.0, 999, 0.1)]  # fmt: skip
    whole = Checkpoint(200, 80.0, 1000, 0.2)
    there = first_as_close(curve, whole.energy_distance)
    assert there == curve[1]
    assert cost_ratios(there, whole) == {"seconds": 0.25, "teacher_calls": 0.4}
    assert first_as_close(curve, 0.05) is None
    assert cost_ratios(None, whole) == {"seconds": None, "teacher_calls": None}


def test_the_command_ends_with_curves_ratios_and_a_picture(folder, tmp_path, monkeypatch, capsys):
    plot, before = tmp_path / "pictures" / "cost.png", set(folder.iterdir())
    given = [f"--run={folder}", *COMMAND, f"--plot={plot}", "--json"]
    monkeypatch.setattr("sys.argv", ["vdd", "bench", "distill", *given])
    assert cli.main() == cli.OK
    printed = capsys.readouterr().out.splitlines()
    result = json.loads(printed[-1])
    assert {name: [at["step"] for at in curve] for name, curve in result["methods"].items()} == {
        "vdd": [50, 100, 120], "vdd-paper": [50, 100, 120]
    }  # fmt: skip
    paper, ours = result["methods"]["vdd-paper"], result["methods"]["vdd"]
    assert result["energy_distance"] == paper[-1]["energy_distance"]
    close = [at for at in ours if at["energy_distance"] <= result["energy_distance"]]
    assert result["reached_at"] == (close[0] if close else None)
    for name, ratio in result["ratios"].items():
        assert ratio == (close[0][name] / paper[-1][name] if close else None)
    assert isinstance(result["goal_reached"], bool) and result["hardware"]
    assert result["seed"] == 0 and result["command"].startswith("vdd bench distill --run=")
    assert result["cpu_share"] > 0.0
    assert any(line.startswith("vdd ") and ": goal " in line for line in printed)
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert set(folder.iterdir()) == before, "nothing is kept in the run"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["--every=30"], "every 30 steps: use a multiple of 50"),
        (["--every=0"], "every 0 steps"),
        (["--no-allow-larger", "--student.width=64"], "allow it with --allow-larger"),
        (["--threads=0"], "threads is 0; use at least 1"),
        (["--plot=/"], "/ is a folder; name a PNG"),
    ],
)
def test_what_cannot_be_measured_is_said_in_one_sentence(folder, capsys, given, sentence):
    assert cli.main(["bench", "distill", f"--run={folder}", *COMMAND, *given]) == cli.USER_ERROR
    told = capsys.readouterr().err
    assert sentence in told and told.count("\n") == 1


def test_a_run_has_to_be_a_teachers(tmp_path, capsys):
    assert cli.main(["bench", "distill", f"--run={tmp_path}"]) == cli.USER_ERROR
    assert "no run at" in capsys.readouterr().err


def test_counts_to_judge_by_that_leave_no_distance_are_refused():
    with pytest.raises(ValueError, match="2 samples or more"):
        JudgeConfig(samples=1)
