"""Choices of teacher and student on the command line, from episodes to bundles."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from foreign_data import CONFIG, DATA, g1

from vdd_ros import cli
from vdd_ros.bundle import Bundle
from vdd_ros.datasets.importing import check, read, write
from vdd_ros.policies.covariance import Diagonal, LowRank
from vdd_ros.policies.nets import count_parameters
from vdd_ros.policies.runs import load_student, load_teacher, load_windows
from vdd_ros.policies.transformer import TransformerDenoiserNet, TransformerTrunk

SMALL = ["--student.n-experts", "2", "--student.width", "8", "--student.blocks", "1"]
QUICK = ["--training.steps", "3", "--pool.size", "40", "--sampler.steps", "2", "--threads", "1"]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory) -> Path:
    """A transformer that predicts v, trained for three steps on one episode of people."""
    folder = tmp_path_factory.mktemp("choices")
    source, contract = g1()
    recordings = check(read(DATA / "g1_bottle", source), source, contract)
    write(recordings, source, contract, folder / "episodes")
    words = ["train", "--episodes", str(folder / "episodes"), "--out", str(folder / "teacher")]
    words += ["--contract", str(CONFIG / "g1_bottle.yaml"), "--held-out", "1", "--threads", "1"]
    words += ["--teacher.net", "transformer", "--teacher.prediction", "v", "--teacher.width", "16"]
    words += ["--teacher.blocks", "1", "--teacher.horizon", "4", "--teacher.n-obs-steps", "3"]
    words += ["--teacher.reference-degree", "0"]
    assert cli.main([*words, "--teacher.rank", "6", "--training.steps", "3"]) == cli.OK
    return folder / "teacher"


def distil(teacher: Path, out: Path, *words: str) -> int:
    fixed = ["distill", "--teacher", str(teacher), "--out", str(out), "--method", "nll"]
    return cli.main([*fixed, *QUICK, *SMALL, *words])


def test_a_teacher_is_what_was_chosen(teacher):
    found = load_teacher(teacher)
    assert isinstance(found.denoiser.net, TransformerDenoiserNet)
    assert found.denoiser.prediction == "v" and found.denoiser.levels == 1000


@pytest.mark.parametrize(
    ("kind", "trunk", "expected"),
    [("low-rank", "transformer", LowRank), ("diagonal", "mlp", Diagonal)],
)
def test_a_student_is_what_was_chosen_and_so_is_its_bundle(
    teacher, tmp_path, kind, trunk, expected
):
    words = ["--student.covariance", kind, "--student.rank", "2", "--student.trunk", trunk]
    assert distil(teacher, tmp_path / "student", *words, "--student.bottleneck", "4") == cli.OK
    student = load_student(tmp_path / "student")
    assert isinstance(student.moe.trunk, TransformerTrunk) == (trunk == "transformer")
    window = load_windows(load_teacher(teacher), held_out=True).observations[0]
    features = torch.tensor(student.normalizer.features(window)[None], dtype=torch.float32)
    assert type(student.moe(features).covariance) is expected
    words = ["--run", str(tmp_path / "student"), "--out", str(tmp_path / "bundle")]
    assert cli.main(["export", *words, "--teacher", str(teacher)]) == cli.OK
    policy = Bundle.load(tmp_path / "bundle", student.contract).open_policy()
    assert policy.density.parameters(window).factors.shape[-1] == (8 if kind == "low-rank" else 6)


def test_a_teacher_s_bundle_samples_it(teacher, tmp_path):
    words = ["--run", str(teacher), "--out", str(tmp_path / "bundle"), "--sampler-steps", "2"]
    assert cli.main(["export", *words, "--candidates", "2"]) == cli.OK


def test_a_student_larger_than_its_teacher_is_refused_until_it_is_allowed(
    teacher, tmp_path, capsys
):
    words = ["--student.bottleneck", "200"]
    assert distil(teacher, tmp_path / "student", *words) == cli.USER_ERROR
    message = capsys.readouterr().err
    assert "--allow-larger" in message and len(message.strip().splitlines()) == 1
    assert not (tmp_path / "student").exists()
    assert distil(teacher, tmp_path / "student", *words, "--allow-larger") == cli.OK
    own = count_parameters(load_student(tmp_path / "student").moe)
    size = count_parameters(load_teacher(teacher).denoiser)
    assert own > size and f"{own:,}" in message and f"{size:,}" in message


def test_numbers_that_no_export_can_be_made_with_are_refused(teacher, tmp_path, capsys):
    words = ["export", "--run", str(teacher), "--out", str(tmp_path / "bundle")]
    for name in ("sampler-steps", "candidates"):
        assert cli.main([*words, f"--{name}", "0"]) == cli.USER_ERROR
        assert f"{name.replace('-', '_')} is 0; write 1 or more" in capsys.readouterr().err
    assert [*tmp_path.iterdir()] == []


def test_a_training_that_leaves_the_numbers_is_told_in_one_sentence(teacher, tmp_path, capsys):
    assert distil(teacher, tmp_path / "student", "--training.learning-rate", "1e30") == 2
    told = capsys.readouterr().err
    assert "has no finite gradient: train with a smaller learning_rate than 1e+30" in told
    assert not (tmp_path / "student" / "run.json").exists()
