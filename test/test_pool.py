"""What a student is distilled on: recorded observations, and others between them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from vdd_ros import cli
from vdd_ros.episode import EpisodeStore
from vdd_ros.errors import UserError
from vdd_ros.policies.distil import distil
from vdd_ros.policies.learn import train_teacher
from vdd_ros.policies.moe import StudentConfig
from vdd_ros.policies.pool import PoolConfig, _between, training_pool
from vdd_ros.policies.runs import Teacher, load_windows, to_tensors
from vdd_ros.policies.teacher import SamplerConfig, TeacherConfig
from vdd_ros.policies.training import TrainingConfig

SAMPLER = SamplerConfig("euler", 2)
SHAPE = TeacherConfig(horizon=4, rank=6, width=16, blocks=1, octaves=0, reference_degree=1)
STUDENT = StudentConfig(n_experts=2, width=8, blocks=1, octaves=0, bottleneck=2)


def taught(contract, episodes, folder, noise: float, held_out: int = 1) -> Teacher:
    shape = TeacherConfig(**{**SHAPE.__dict__, "observation_noise": noise})
    return train_teacher(contract, episodes, folder, shape, TrainingConfig(steps=3), held_out)


@pytest.fixture(scope="module")
def episodes(contract, tmp_path_factory):
    """Of a scripted operator; the last one is held out."""
    folder = tmp_path_factory.mktemp("episodes") / "episodes"
    words = ["record", "--out", str(folder), "--episodes", "4", "--one-process"]
    assert cli.main(words) == 0
    store = EpisodeStore(folder, contract)
    return [store.load(name) for name in store.list()]


@pytest.fixture(scope="module")
def teacher(contract, episodes, tmp_path_factory) -> Teacher:
    return taught(contract, episodes, tmp_path_factory.mktemp("pool") / "teacher", noise=0.0)


def recorded(teacher: Teacher):
    return to_tensors(teacher.normalizer, load_windows(teacher, held_out=False))


def test_without_noise_each_recorded_observation_is_there_once(teacher):
    pool = training_pool(teacher, PoolConfig(100_000), SAMPLER, 0)
    seen = recorded(teacher).cond
    assert len(pool.cond) == len(seen)
    np.testing.assert_array_equal(*(np.unique(one.numpy(), axis=0) for one in (pool.cond, seen)))


def test_with_noise_on_observations_a_pool_is_as_large_as_asked_for(contract, episodes, tmp_path):
    """And no two of its observations are the same, each with a teacher sample of its own."""
    noisy = taught(contract, episodes, tmp_path / "teacher", noise=0.2)
    pool = training_pool(noisy, PoolConfig(500), SAMPLER, 0)
    assert len(pool.cond) == len(pool.samples) == len(pool.demos) == 500
    assert len(np.unique(pool.cond.numpy(), axis=0)) == 500
    again = training_pool(noisy, PoolConfig(500), SAMPLER, 0)
    np.testing.assert_array_equal(pool.cond, again.cond)


def test_between_lies_on_a_line_of_two_episodes_and_nobody_demonstrated_there(teacher):
    pool = training_pool(teacher, PoolConfig(40, between=0.5), SAMPLER, 0)
    alone = training_pool(teacher, PoolConfig(20), SAMPLER, 0)
    np.testing.assert_array_equal(pool.cond[:20], alone.cond)
    assert pool.demos[:20].isfinite().all() and pool.demos[20:].isnan().all()
    assert pool.samples.isfinite().all()
    seen = recorded(teacher)
    episode = torch.from_numpy(seen.windows.episode)
    others = episode[:, None] != episode
    for point in pool.cond[20:]:
        # on a line where the ways to its ends are together as long as the line
        way = torch.linalg.norm(seen.cond - point, dim=1)
        longer = way[:, None] + way - torch.cdist(seen.cond, seen.cond)
        assert longer[others].min() < 1e-4


def test_ends_of_a_line_are_near_each_other_by_the_candidates(teacher):
    """With many candidates other episodes' nearest observation is found, with one any."""
    seen = recorded(teacher).cond

    def far(candidates: int) -> float:
        pool = training_pool(
            teacher, PoolConfig(400, between=1.0, candidates=candidates), SAMPLER, 0
        )
        return float(torch.cdist(pool.cond, seen).min(1).values.mean())

    assert far(64) < 0.9 * far(1)


def test_no_line_is_within_one_episode():
    """However few candidates there are: the first number is the episode's, and whole only in it."""
    episode = torch.arange(3).repeat_interleave(20)
    cond = torch.stack([episode.float(), torch.linspace(0.0, 1.0, 60)], 1)
    found = _between(cond, episode, 300, 1, torch.Generator().manual_seed(0))
    assert found.shape == (300, 2)
    assert (found[:, 0] % 1.0 == 0.0).sum() <= 1  # from 0 to 2 through 1, hardly ever exactly


def test_who_learns_from_demonstrations_cannot(teacher, tmp_path):
    pool = PoolConfig(32, between=0.5)
    with pytest.raises(UserError, match="em learns from demonstrations.*leave out.*pool.between"):
        distil(teacher, tmp_path / "em", "em", STUDENT, TrainingConfig(steps=2), pool=pool)
    assert not (tmp_path / "em").exists()


def test_there_is_nothing_between_one_episode(contract, episodes, tmp_path):
    alone = taught(contract, episodes[:2], tmp_path / "teacher", noise=0.0)
    with pytest.raises(UserError, match="several episodes"):
        training_pool(alone, PoolConfig(10, between=0.5), SAMPLER, 0)


def test_a_student_is_distilled_between_by_command(teacher, tmp_path):
    words = ["distill", "--teacher", str(teacher.folder), "--out", str(tmp_path / "student")]
    words += ["--student.n-experts", "2", "--student.width", "8", "--student.blocks", "1"]
    words += ["--student.octaves", "0", "--student.bottleneck", "2", "--training.steps", "4"]
    words += ["--pool.size", "60", "--pool.between", "0.5", "--sampler.steps", "2"]
    assert cli.main(words) == 0
    run = json.loads((tmp_path / "student" / "run.json").read_text())
    assert run["configs"]["pool"] == {"size": 60, "between": 0.5, "candidates": 8}


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("--pool.size=0", "pool.size is 0; distil on at least 1 observation"),
        ("--pool.between=1.5", "pool.between is 1.5; it is a share, from 0 to 1"),
        ("--pool.candidates=0", "pool.candidates is 0; look at 1 or more"),
    ],
)
def test_what_is_no_pool_is_told(teacher, tmp_path, capsys, word, told):
    words = ["distill", "--teacher", str(teacher.folder), "--out", str(tmp_path / "student"), word]
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err
