"""What a folder's manifests or its log say is not to be learned from is left out, and said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from recordings import CONTRACT, record

from vdd_ros import cli
from vdd_ros.episode import EpisodeStore
from vdd_ros.fitness import is_failure
from vdd_ros.policies.demonstrations import split_of_recordings

SMALL = [
    "--held-out", "1", "--teacher.width", "16", "--teacher.blocks", "1", "--training.steps", "2",
    "--threads", "1",
]  # fmt: skip


def train(folder: Path, out: Path, *words: str) -> int:
    cache = ["--cache", str(folder.parent / "cache")]
    told = ["train", "--episodes", str(folder), "--out", str(out), *SMALL, *cache, *words]
    return cli.main(told)


def learned(out: Path) -> list[str]:
    notes = json.loads((out / "run.json").read_text())["notes"]
    return sorted([*notes["trained_on"], *notes["held_out"]])


@pytest.fixture(scope="module")
def demos(tmp_path_factory) -> Path:
    """A success, two failures, and two that nobody labelled."""
    folder = tmp_path_factory.mktemp("left_out") / "demos"
    for label in ({"success": True}, {"success": False}, {}, {"success": False}, {}):
        record(folder, 1.5, **label)
    return folder


def test_labelled_failures_are_trained_on_only_where_one_says_so(demos, tmp_path, capsys):
    assert train(demos, tmp_path / "run") == 0
    assert learned(tmp_path / "run") == ["episode_0001", "episode_0003", "episode_0005"]
    told = "labelled as failures, and so left out: 2 episodes (episode_0002, episode_0004)"
    assert told in capsys.readouterr().out
    assert train(demos, tmp_path / "all", "--failures") == 0
    assert len(learned(tmp_path / "all")) == 5
    assert "left out" not in capsys.readouterr().out


def test_a_folder_of_failures_is_refused(tmp_path, capsys):
    record(tmp_path / "demos", 1.5, success=False)
    assert train(tmp_path / "demos", tmp_path / "run") == 2
    assert "is labelled as a failure: record others" in capsys.readouterr().err


def test_corrections_are_learned_from_however_the_episode_ended(tmp_path):
    name = record(tmp_path, 1.0, success=False)
    manifest = EpisodeStore(tmp_path).manifest(name)
    assert is_failure(manifest)
    for segments, expected in (([[0.2, 0.6]], False), ([], True)):
        meta = manifest.meta | {"takeovers_s": segments}
        assert is_failure(manifest.model_copy(update={"meta": meta})) is expected


def test_an_ood_detector_is_fitted_without_failures(demos):
    store = EpisodeStore(demos, CONTRACT)
    split = split_of_recordings(demos)
    windows = [len(part) for part in (split.training, split.calibration, split.test)]
    assert len(store.list()) == 5 and all(windows)
    assert sum(len(set(part.episode)) for part in split[2:]) == 3


def test_episodes_that_vanished_are_told_by_whoever_takes_the_folder(demos, tmp_path, capsys):
    folder = tmp_path / "demos"
    shutil.copytree(demos, folder)
    shutil.rmtree(folder / "episode_0003")
    told = f"not there, and so left out: 1 episode (episode_0003), saved in {folder}"
    assert cli.main(["dataset", "stats", str(folder)]) == 0
    assert told in capsys.readouterr().out
    words = ["dataset", "export", str(folder), str(tmp_path / "out"), "--format", "rosbag2"]
    assert cli.main(words) == 0
    assert told in capsys.readouterr().out
    assert train(folder, tmp_path / "run") == 0
    assert told in capsys.readouterr().out
    assert cli.main(["dataset", "delete", str(folder), "episode_0003", "--yes"]) == 0
    capsys.readouterr()
    assert train(folder, tmp_path / "again") == 0
    assert "not there" not in capsys.readouterr().out


def test_without_a_contract_that_of_the_episodes_is_learned(demos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert train(demos, tmp_path / "run") == 0
    known = json.loads((tmp_path / "run" / "run.json").read_text())["contract"]
    assert known["name"] == CONTRACT.name
