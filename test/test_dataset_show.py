"""The page of `vdd dataset show`: held-out episodes under a policy, in one file."""

import re

import numpy as np
import pytest
from foreign_data import DATA, g1

from vdd_ros import cli
from vdd_ros.datasets.importing import check, read, write
from vdd_ros.episode import EpisodeStore
from vdd_ros.policies.distil import distil
from vdd_ros.policies.judge import Judge, JudgeConfig
from vdd_ros.policies.learn import train_teacher
from vdd_ros.policies.likelihood import likelihood_of
from vdd_ros.policies.moe import StudentConfig
from vdd_ros.policies.runs import load_teacher
from vdd_ros.policies.teacher import SamplerConfig, TeacherConfig
from vdd_ros.policies.training import TrainingConfig


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two episodes of people, the second held out, and a student that hardly learned."""
    folder = tmp_path_factory.mktemp("show")
    source, contract = g1()
    recordings = read(DATA / "g1_bottle", source)
    write(check(recordings, source, contract), source, contract, folder / "episodes")
    store = EpisodeStore(folder / "episodes", contract)
    episodes = [store.load(name) for name in store.list()]
    training = TrainingConfig(steps=5)
    shape = TeacherConfig(horizon=4, rank=6, width=16, blocks=1)
    teacher = train_teacher(contract, episodes, folder / "teacher", shape, training, 1)
    config = StudentConfig(n_experts=3, width=16, blocks=1, bottleneck=4)
    student = distil(teacher, folder / "vdd", "vdd", config, training)
    return folder, student, episodes


def test_the_likelihood_over_time_is_the_judges(made):
    folder, student, episodes = made
    found = likelihood_of(student, episodes[1])
    judge = Judge(
        load_teacher(folder / "teacher"),
        JudgeConfig(observations=4, samples=4, reference=8, sampler=SamplerConfig("euler", 2)),
    )
    assert found.nll.mean() == pytest.approx(judge.of_student(student)["nll"], abs=1e-4)
    assert len(found.times_s) == len(found.nll) == 90
    whole = 90 - 3  # with a horizon of four steps
    for shares, count in ((found.gating, 90), (found.responsibility, whole)):
        assert shares.shape == (90, 3)
        np.testing.assert_allclose(shares[:count].sum(1), 1.0, atol=1e-5)
    assert np.isnan(found.responsibility[whole:]).all()


def test_the_page_shows_the_held_out_episode_and_needs_no_other_file(made, capsys):
    folder, *_ = made
    page = folder / "page.html"
    words = ["dataset", "show", str(folder / "episodes")]
    against = ["--page", str(page), "--run", str(folder / "vdd")]
    assert cli.main([*words, *against]) == 0
    assert "episode_0002: NLL" in capsys.readouterr().out
    text = page.read_text()
    assert "<h2>episode_0002</h2>" in text and "<h2>episode_0001</h2>" not in text
    for title in ("Joints", "Likelihood over time", "Who speaks when"):
        assert f"<b>{title}</b>" in text
    assert "<b>Under the policy</b>" not in text  # where episodes are compared
    assert cli.main([*words, "episode_0001", "episode_0002", *against]) == 0
    assert "<b>Under the policy</b>" in page.read_text()
    assert not re.findall(r"(?:src|href)=(?!['\"]?data:)", text)
    assert "commit d1d3bb45" in text


def test_without_a_policy_the_page_shows_what_was_recorded(made):
    folder, *_ = made
    page = folder / "plain.html"
    words = ["dataset", "show", str(folder / "episodes"), "episode_0001", "--page", str(page)]
    assert cli.main(words) == 0
    text = page.read_text()
    assert "<b>Joints</b>" in text and "Likelihood" not in text


def test_a_page_into_a_folder_that_is_not_there_is_told(made, capsys):
    folder, *_ = made
    page = folder / "missing" / "page.html"
    words = ["dataset", "show", str(folder / "episodes"), "episode_0001", "--page", str(page)]
    assert cli.main(words) == 2
    assert "missing is no folder: make it first" in capsys.readouterr().err


def test_an_episode_must_be_named_where_no_run_names_one(made, capsys):
    folder, *_ = made
    assert cli.main(["dataset", "show", str(folder / "episodes")]) == 2
    assert "which episode?" in capsys.readouterr().err
