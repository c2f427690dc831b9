"""Judge: its likelihood is that of the graph which goes into the bundle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vdd_ros.density import MixtureParameters, log_density
from vdd_ros.normalizer import Normalizer
from vdd_ros.policies.checkpoint import save_tensors
from vdd_ros.policies.export import StudentDensity
from vdd_ros.policies.judge import Judge, JudgeConfig, judged
from vdd_ros.policies.moe import GaussianMoE, StudentConfig
from vdd_ros.policies.runs import Student, Teacher
from vdd_ros.policies.teacher import SamplerConfig, TeacherConfig, make_teacher

COUNT, HORIZON, DIM, RANK = 40, 4, 3, 5
QUICK = JudgeConfig(observations=6, samples=5, reference=8, sampler=SamplerConfig("euler", 2))


@pytest.fixture(scope="module")
def windows() -> dict[str, np.ndarray]:
    """Held-out windows of three episodes in uneven units, none with padding, as runs keep them."""
    rng = np.random.default_rng(0)
    observations = rng.normal(size=(COUNT, 1, DIM))
    chunks = observations + rng.normal(size=(COUNT, HORIZON, DIM)).cumsum(1) * [0.1, 1.0, 5.0]
    return {
        "observations": observations.astype(np.float32),
        "chunks": chunks.astype(np.float32),
        "is_pad": np.zeros((COUNT, HORIZON), bool),
        "episode": np.sort(rng.integers(3, size=COUNT)),
        "is_held_out": np.ones(COUNT, bool),
    }


@pytest.fixture(scope="module")
def runs(tmp_path_factory, windows, contract) -> tuple[Teacher, Student]:
    folder: Path = tmp_path_factory.mktemp("teacher")
    save_tensors(folder / "windows.safetensors", {k: torch.tensor(v) for k, v in windows.items()})
    rng, config = np.random.default_rng(1), TeacherConfig(horizon=HORIZON, width=16, blocks=1)
    normalizer = Normalizer.fit(windows["observations"], windows["chunks"], RANK, rng)
    torch.manual_seed(2)
    denoiser = make_teacher(config, *normalizer.sizes).eval()
    of_student = StudentConfig(n_experts=3, width=16, blocks=1, bottleneck=4)
    moe = GaussianMoE(of_student, *normalizer.sizes).eval()
    for head in (moe.gating, moe.log_scale, moe.follow):
        torch.nn.init.normal_(head.weight, std=0.3)
    teacher = Teacher(folder, contract, config, normalizer, denoiser, {})
    return teacher, Student(folder, contract, "nll", of_student, normalizer, moe, {})


def test_the_likelihood_is_that_of_the_exported_density(runs, windows):
    """In standardised actions each number of a chunk brings its log standard deviation."""
    teacher, student = runs
    density = StudentDensity(student.moe, student.normalizer)
    volume = HORIZON * np.log(student.normalizer.action_std).sum()
    nll = []
    for window, chunk in zip(windows["observations"], windows["chunks"], strict=True):
        with torch.no_grad():
            parts = MixtureParameters(*(part.numpy() for part in density(torch.tensor(window))))
        nll.append(-(log_density(parts, chunk.reshape(1, -1))[0] + volume) / chunk.size)
    by_episode = [np.mean(np.array(nll)[windows["episode"] == one]) for one in range(3)]
    found = Judge(teacher, QUICK).of_student(student)
    assert found["nll"] == pytest.approx(np.mean(by_episode), abs=1e-3)
    low, high = found["nll_interval"]
    assert low < found["nll"] < high


def test_people_are_off_a_teachers_support_where_they_do_what_it_never_does(runs):
    """An untrained teacher draws from a standard normal, nearly."""
    judge = Judge(runs[0], QUICK)
    judge.chunks = torch.zeros_like(judge.chunks)
    assert judge.of_people()["off_support"] < 0.2
    judge.chunks = judge.chunks + 100.0
    assert judge.of_people()["off_support"] == 1.0


def test_draws_of_the_teacher_are_judged_by_themselves(runs):
    figures = Judge(runs[0], QUICK).of_teacher()
    assert figures["energy_distance"] == figures["energy_floor"]
    assert figures["nll"] is None and figures["nfe"] == QUICK.sampler.nfe


def test_no_figure_depends_on_who_was_judged_before(runs):
    teacher, student = runs
    torch.manual_seed(3)
    other = replace(student, moe=GaussianMoE(student.config, *student.normalizer.sizes).eval())

    def found(students: dict[str, Student]) -> dict[str, dict]:
        return judged(teacher, students, (), QUICK)

    both = found({"other": other, "one": student})
    alone = found({"one": student})
    assert both["one"] == alone["one"] and both["teacher-1"] == alone["teacher-1"]
    assert both["one"]["energy_distance"] != both["other"]["energy_distance"]
