"""Benches that are told of no policy make one: whole, once, and of the usual form."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from drawing import gl

from vdd_ros import cli
from vdd_ros.bundle import Bundle
from vdd_ros.commands.bench import TOOLS, image, made
from vdd_ros.errors import UserError
from vdd_ros.policies.encoder import Encoder, EncoderConfig


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "vdd_ros"


@pytest.mark.slow
def test_it_is_made_once_and_measured_as_one_that_is_named(cache, monkeypatch, capsys):
    least = made.RECIPES["small"]._replace(demonstrations=5, held_out=1, steps=2, pool=64)
    monkeypatch.setitem(made.RECIPES, "small", least)
    words = ["bench", "delays", "--delays", "0", "--episodes", "1", "--processes", "1", "--json"]
    assert cli.main(words) == cli.OK
    told = capsys.readouterr().out
    assert "a small one is made, of 5 demonstrations and 2 training steps" in told
    result = json.loads(told.splitlines()[-1])
    assert result["policy"] == "made: 5 demonstrations, 2 steps" and len(result["rows"]) == 1
    (folder,) = cache.iterdir()
    policy = made.made()
    assert str(folder) in capsys.readouterr().out and policy.student.parent.parent == folder
    student, teacher = (Bundle.load(one) for one in (policy.student, policy.teacher))
    assert (student.manifest.kind, teacher.manifest.kind) == ("mixture", "diffusion")
    assert student.density_path is not None and student.start is not None
    assert [one.name for one in cache.iterdir()] == [folder.name], "nothing half-made is left"


@pytest.mark.slow
def test_one_that_sees_has_encoders_of_the_usual_size(cache, monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", gl())
    least = made.RECIPES["sighted"]._replace(demonstrations=2, steps=1, batch=2)
    monkeypatch.setitem(made.RECIPES, "sighted", least)
    student = Bundle.load(made.made("sighted").student)
    assert list(student.contract.observed_cameras) == ["agent_view", "in_hand"]
    weights = sum(p.numel() for p in Encoder(EncoderConfig(), student.contract).parameters())
    stored = sum((student.folder / name).stat().st_size for name in student.manifest.encoders)
    assert 4 * weights < stored < 4.2 * weights


def test_a_bench_that_wants_pictures_is_made_one_that_sees(monkeypatch, capsys):
    asked = []

    def refuse(kind: str = "small"):
        asked.append(kind)
        raise UserError("no renderer")

    monkeypatch.setattr(image, "made", refuse)
    assert cli.main(["bench", "image"]) == cli.USER_ERROR
    assert asked == ["sighted"] and "no renderer" in capsys.readouterr().err
    assert made.told(False, "sighted") == "made: 3 demonstrations, 2 steps"


def test_what_other_code_made_is_not_taken(cache, monkeypatch):
    """It may lack files that this code's exports have."""
    monkeypatch.setattr(made, "_make", lambda recipe, part: None)
    first = made.made()
    assert made.made() == first
    monkeypatch.setattr(made, "code_hash", lambda *folders: "of another state")
    assert made.made() != first and len(list(cache.iterdir())) == 2


def test_a_command_that_fails_is_told_and_leaves_nothing(cache, monkeypatch):
    nothing = made.RECIPES["small"]._replace(demonstrations=0)
    monkeypatch.setitem(made.RECIPES, "small", nothing)
    with pytest.raises(UserError, match="`vdd record` failed .*record at least 1"):
        made.made()
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["control", "--teacher", "there"], "name it with --student"),
        (["latency", "--teacher", "there"], "name both runs"),
        (["ood", "--teacher", "there"], "recordings that it does not know"),
    ],
)
def test_half_of_a_policy_is_none(cache, capsys, words, complaint):
    assert cli.main(["bench", *words]) == cli.USER_ERROR
    assert complaint in capsys.readouterr().err and not cache.exists()


@pytest.mark.parametrize("tool", TOOLS)
def test_no_bench_asks_for_what_it_can_make(tool, capsys):
    with pytest.raises(SystemExit):
        cli.main(["bench", tool, "--help"])
    assert "(required)" not in capsys.readouterr().out
