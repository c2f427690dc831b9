"""vdd and nll with two schedules are one training up to the last phase: it is done once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from vdd_ros import cli
from vdd_ros.episode import EpisodeStore
from vdd_ros.policies.checkpoint import load_tensors
from vdd_ros.policies.distil import distil
from vdd_ros.policies.learn import train_teacher
from vdd_ros.policies.metrics_log import read_metrics
from vdd_ros.policies.moe import StudentConfig
from vdd_ros.policies.objectives import Em, Nll, Objective, Vdd, VddPaper
from vdd_ros.policies.pool import PoolConfig
from vdd_ros.policies.runs import Teacher
from vdd_ros.policies.teacher import SamplerConfig, TeacherConfig
from vdd_ros.policies.training import TrainingConfig

STUDENT = StudentConfig(n_experts=2, width=8, blocks=1, octaves=0, bottleneck=2)
TRAINING = TrainingConfig(steps=200, batch_size=16)
VDD, NLL = Vdd(observations=4, start=0.75), Nll(start=0.75)


@pytest.fixture(scope="module")
def episodes(contract, tmp_path_factory):
    folder = tmp_path_factory.mktemp("episodes") / "episodes"
    words = ["record", "--out", str(folder), "--episodes", "3", "--one-process"]
    assert cli.main(words) == cli.OK
    store = EpisodeStore(folder, contract)
    return [store.load(name) for name in store.list()]


@pytest.fixture
def teacher(contract, episodes, tmp_path) -> Teacher:
    shape = TeacherConfig(horizon=4, rank=6, width=16, blocks=1, octaves=0)
    return train_teacher(
        contract, episodes, tmp_path / "teacher", shape, TrainingConfig(steps=3), held_out=1
    )


def distilled(
    teacher: Teacher, name: str, objective: Objective, training: TrainingConfig = TRAINING
) -> dict[str, torch.Tensor]:
    """By the method and into the folder of that name."""
    folder, method = teacher.folder.with_name(name), name.split("_")[0]
    pool, sampler = PoolConfig(500), SamplerConfig("euler", 2)
    distil(teacher, folder, method, STUDENT, training, objective, pool, sampler)
    return load_tensors(folder / "weights.safetensors")


def starts(teacher: Teacher) -> list[Path]:
    return sorted(teacher.folder.glob("start-*.safetensors"))


def test_nll_goes_on_from_what_vdd_left_and_ends_as_if_alone(teacher):
    alone = distilled(teacher, "nll_alone", NLL)
    for path in starts(teacher):
        path.unlink()
    distilled(teacher, "vdd", VDD)
    (left,) = starts(teacher)
    found = distilled(teacher, "nll", NLL)
    assert all(torch.equal(found[name], alone[name]) for name in alone)
    steps = [record["step"] for record in read_metrics(teacher.folder.with_name("nll"))]
    assert steps == [50, 100, 150, 200]

    tensors = load_tensors(left)
    moved = {name: 1.1 * one for name, one in tensors.items() if name.startswith("averaged.")}
    save_file(tensors | moved, left)
    other = distilled(teacher, "nll_moved", NLL)
    assert not all(torch.equal(other[name], alone[name]) for name in alone)


def test_seconds_of_the_start_count_for_who_takes_it_up(teacher):
    distilled(teacher, "vdd", VDD)
    (left,) = starts(teacher)
    record = {"step": 150, "loss": 0.0, "seconds": 3600.0}
    left.with_suffix(".jsonl").write_text(json.dumps(record) + "\n")
    distilled(teacher, "nll", NLL)
    first, last = read_metrics(teacher.folder.with_name("nll"))
    assert first == record
    assert last["step"] == 200 and last["seconds"] > 3600.0


@pytest.mark.parametrize(
    ("objective", "training"),
    [
        (replace(NLL, start=0.5), TRAINING),
        (replace(NLL, sigma_start=0.1), TRAINING),
        (replace(NLL, sparsity=0.1), TRAINING),
        (NLL, replace(TRAINING, seed=1)),
        (NLL, replace(TRAINING, steps=204)),
    ],
)
def test_another_start_is_not_taken_up(teacher, objective, training):
    distilled(teacher, "vdd", VDD)
    distilled(teacher, "nll", objective, training)
    assert len(starts(teacher)) == 2


@pytest.mark.parametrize(
    ("name", "objective"),
    [("nll", Nll()), ("vdd", replace(VDD, start=0.0, last_rate=1.0)), ("vdd-paper", VddPaper())],
)
def test_who_shares_no_start_leaves_none(teacher, name, objective):
    distilled(teacher, name, objective, replace(TRAINING, steps=4))
    assert starts(teacher) == []


def test_em_and_nll_are_not_one(teacher):
    distilled(teacher, "nll", NLL, replace(TRAINING, steps=8))
    distilled(teacher, "em", Em(start=0.75), replace(TRAINING, steps=8))
    assert len(starts(teacher)) == 2
