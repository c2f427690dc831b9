"""A label or note that was corrected after the episode was saved: whoever reads it goes by that."""

from __future__ import annotations

import json

import pytest
from recordings import record

from vdd_ros.commands.dataset import check, delete, label, merge, show, split, stats, trim
from vdd_ros.commands.train import chosen
from vdd_ros.correction import correct
from vdd_ros.datasets.frames import frames_of
from vdd_ros.episode import EpisodeStore
from vdd_ros.episode_log import LOG, EpisodeLog
from vdd_ros.errors import UserError
from vdd_ros.manifest import Manifest
from vdd_ros.page.episode_list import EpisodeList


@pytest.fixture
def demos(tmp_path):
    """Two successes."""
    for seconds in (0.6, 0.7):
        record(tmp_path / "demos", seconds, success=True, note="neat", way="left")
    return tmp_path / "demos"


def is_failure(folder, name, note="the cup slipped"):
    meta = EpisodeStore(folder).manifest(name).meta
    return meta == {"success": False, "note": note, "way": "left"} | (
        {"trimmed": meta["trimmed"]} if "trimmed" in meta else {}
    )


def fail(demos, name="episode_0001"):
    label.main(label.Args(demos, (name,), label="failure", note="the cup slipped"))


def test_every_reader_goes_by_the_newest_label_and_the_episode_stays_as_it_was(demos, tmp_path):
    files = {path: path.read_bytes() for path in demos.glob("*/*")}
    fail(demos)
    assert {path: path.read_bytes() for path in demos.glob("*/*")} == files
    assert Manifest.read(demos / "episode_0001").meta["success"] is True, "as it was saved"
    assert is_failure(demos, "episode_0001")
    frames = frames_of(EpisodeStore(demos).load("episode_0001"))
    assert frames.success is False, "as it is exported"
    found = check.main(check.Args(demos))
    assert found["ok"] and found["episodes"][0]["meta"]["note"] == "the cup slipped"
    declared = stats.main(stats.Args(demos))["declared"]
    assert declared["success"] == {"False": 1, "True": 1}
    split.main(split.Args(demos, out=tmp_path / "parts", by="label"))
    merge.main(merge.Args((demos,), out=tmp_path / "all"))
    trim.main(trim.Args(demos, tmp_path / "short", begin=0.05))
    assert is_failure(tmp_path / "parts" / "failure", "episode_0001")
    assert is_failure(tmp_path / "all", "a_episode_0001")
    assert is_failure(tmp_path / "short", "episode_0001")
    page = tmp_path / "demo.html"
    show.main(show.Args(demos, ("episode_0001",), page=page))
    assert "the cup slipped" in page.read_text() and "neat" not in page.read_text()


def test_training_leaves_out_what_is_a_failure_by_now(demos):
    assert chosen(EpisodeStore(demos), False) == ("episode_0001", "episode_0002")
    fail(demos)
    assert chosen(EpisodeStore(demos), False) == ("episode_0002",)
    label.main(label.Args(demos, ("episode_0001",), label="none"))
    assert chosen(EpisodeStore(demos), False) == ("episode_0001", "episode_0002")
    meta = EpisodeStore(demos).manifest("episode_0001").meta
    assert meta == {"note": "the cup slipped", "way": "left"}, "the note is as it was corrected"


def test_a_correction_goes_with_its_episode_into_the_bin_and_back_and_to_no_other(demos):
    fail(demos)
    delete.main(delete.Args(demos, ("episode_0001",), yes=True))
    delete.main(delete.Args(demos, ("episode_0001",), restore=True))
    assert is_failure(demos, "episode_0001")
    delete.main(delete.Args(demos, ("episode_0001",), purge=True, yes=True))
    (demos / "episode_0002").rename(demos / "episode_0001")  # as somebody may do by hand
    path = demos / "episode_0001" / "manifest.json"
    path.write_text(path.read_text().replace("episode_0002", "episode_0001"))
    assert EpisodeStore(demos).manifest("episode_0001").meta["success"] is True


def test_the_page_lists_it_as_it_is_by_now(demos):
    listed = EpisodeList(demos)
    listed.look()
    before = listed.version
    fail(demos)
    listed.look()
    (row,) = [row for row in listed.rows if row["name"] == "episode_0001"]
    assert (row["success"], row["note"]) == (False, "the cup slipped") and listed.version > before
    label.main(label.Args(demos, ("episode_0001",), label="none", note=""))
    listed.look()
    (row,) = [row for row in listed.rows if row["name"] == "episode_0001"]
    assert (row["success"], row["note"]) == (None, "")


@pytest.mark.parametrize(
    "correction",
    [
        {},
        {"success": "yes"},
        {"success": 1},
        {"note": ["a"]},
        {"note": "x" * 5000},
        {"way": "right"},
        {"success": True, "seed": 3},
    ],
)
def test_what_corrects_nothing_is_refused_and_a_line_of_it_is_none(demos, correction):
    before = (demos / LOG).read_bytes()
    with pytest.raises(UserError, match="corrects nothing"):
        correct(demos, ["episode_0001"], correction)
    assert (demos / LOG).read_bytes() == before
    line = json.loads(before.split(b"\n")[0]) | {"event": "corrected", "meta": correction}
    with (demos / LOG).open("a") as file:
        file.write(json.dumps(line) + "\n")
    assert EpisodeLog.read(demos).faults == [f"{demos / LOG}: line 3 is not readable"]


def test_all_of_them_are_corrected_or_none(demos):
    path = demos / "episode_0002" / "manifest.json"
    path.write_text(path.read_text().replace('"avoid"', '"avert"'))
    before = (demos / LOG).read_bytes()
    for names, told in (
        (("episode_0001", "episode_0002"), "not the one that was saved"),
        (
            ("episode_0001", "../demos"),
            "no episode ../demos",
        ),
    ):
        with pytest.raises(UserError, match=told):
            label.main(label.Args(demos, names, label="failure"))
    with pytest.raises(UserError, match="say --label, --note"):
        label.main(label.Args(demos, ("episode_0001",)))
    assert (demos / LOG).read_bytes() == before
