"""The log of a folder: what was saved and deleted, told from what vanished or was altered."""

from __future__ import annotations

import json

import pytest
from recordings import record

from vdd_ros.commands.dataset import check
from vdd_ros.episode import EpisodeStore
from vdd_ros.episode_log import LOG, EpisodeLog, Line, append, manifest_hash
from vdd_ros.errors import UserError


@pytest.fixture
def folder(tmp_path):
    """Two episodes that the recorder saved."""
    for seconds in (0.5, 0.6):
        record(tmp_path, seconds)
    return tmp_path


def test_every_saved_episode_has_its_line(folder):
    lines = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    assert [line["event"] for line in lines] == ["saved", "saved"]
    assert {line["episode"]: line["manifest"] for line in lines} == {
        name: manifest_hash(folder / name) for name in EpisodeStore(folder).list()
    }


def test_a_manifest_that_was_written_anew_is_refused(folder):
    path = folder / "episode_0001" / "manifest.json"
    path.write_text(path.read_text().replace('"avoid"', '"avert"'))
    with pytest.raises(UserError, match="not the one that was saved .* in episodes.jsonl"):
        EpisodeStore(folder).load("episode_0001")
    (folder / LOG).unlink()  # a folder without a log is read like any other
    assert EpisodeStore(folder).load("episode_0001").manifest.task == "avert"


def test_a_line_that_was_being_written_is_none_and_the_next_is_whole(folder):
    path = folder / LOG
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        log = EpisodeLog.read(folder)
        assert not log.faults and len(log.kept) == whole[:length].count(b"\n")
    append(folder, [Line("saved", "episode_0003", "0" * 64)])
    assert EpisodeLog.read(folder).kept.keys() == {"episode_0001", "episode_0003"}
    assert not EpisodeLog.read(folder).faults


@pytest.mark.parametrize(
    "line", ["", "[]", "null", "{", '{"format_version": 2}', '{"format_version": 1}', "[" * 99_999]
)
def test_a_line_that_says_nothing_is_told_by_its_number(folder, line):
    with (folder / LOG).open("a") as file:
        file.write(line + "\n")
    result = check.main(check.Args(folder))
    assert not result["ok"] and result["verdicts"] == {"PASS": 2}
    assert result["log_faults"] == [f"{folder / LOG}: line 3 is not readable"]


def test_no_number_is_used_twice_even_of_an_episode_that_vanished(folder):
    last = folder / "episode_0002"
    last.rename(folder.parent / "elsewhere")
    assert record(folder, 0.5) == "episode_0003"
    result = check.main(check.Args(folder))
    (gone,) = [row for row in result["episodes"] if row["verdict"] == "BROKEN"]
    assert gone["name"] == "episode_0002" and "was saved and is not there" in gone["reasons"][0]


def test_a_log_may_grow_while_a_store_is_open(folder):
    store = EpisodeStore(folder)
    store.load("episode_0001")
    assert record(folder, 0.7) in store.list() and "episode_0003" in store.log().kept
