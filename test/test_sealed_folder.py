"""What is read of a sealed folder is what a program can use, whatever somebody wrote into it;
who writes one at the same time as others replaces it whole."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import bundles
import pytest

from vdd_ros.bundle import Bundle, certified
from vdd_ros.errors import UserError
from vdd_ros.sealed_folder import Refused, parsed_json, require_only, to_json, write_sealed

WRITERS, ROUNDS = 4, 40


@pytest.mark.parametrize(
    "number", ["NaN", "-Infinity", "1e999", "-1e999", "9" * 19, "-" + "9" * 400]
)
def test_a_number_that_no_array_can_hold_is_none(number):
    with pytest.raises(Refused, match=r"here is not readable JSON \(.* is no number\)"):
        parsed_json(f'{{"values": [1, {number}]}}'.encode(), "here")


def test_numbers_are_read_as_they_were_written():
    value = {"values": [0, -1, 10**18 - 1, 1.7976931348623157e308, 5e-324, -0.1]}
    assert parsed_json(to_json(value), "here") == value


def test_a_folder_is_written_whole_where_one_stands(tmp_path, monkeypatch):
    """In place of an older one, by a name that is none, and with nothing left beside it."""
    write_sealed(tmp_path / "folder", {"old": b"1"})
    monkeypatch.chdir(tmp_path / "folder")
    write_sealed(Path(), {"new": b"2"})
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "new"]


@pytest.mark.parametrize("place", ["/proc/none", "x" * 256, "file/folder"])
def test_where_none_can_be_written_nothing_is_left(tmp_path, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        write_sealed(tmp_path / place, {"a": b"1"})
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_no_bundle_is_written_into_another(tmp_path, contract):
    found = bundles.student_bundle(tmp_path / "vdd", contract)
    with pytest.raises(UserError, match="is within the bundle .*, which it would damage"):
        certified(found, found.folder / "signed")
    assert Bundle.load(found.folder).manifest == found.manifest


def test_who_writes_a_folder_at_the_same_time_replaces_it_whole(tmp_path):
    together = Barrier(WRITERS)

    def write(writer: int) -> None:
        for place in range(ROUNDS):
            together.wait(timeout=60)
            write_sealed(tmp_path / str(place), {"a": bytes([writer]), "b": bytes([writer])})

    with ThreadPoolExecutor(WRITERS) as pool:
        for done in [pool.submit(write, writer) for writer in range(WRITERS)]:
            done.result()
    for folder in tmp_path.iterdir():
        assert (folder / "a").read_bytes() == (folder / "b").read_bytes()
    assert {folder.name for folder in tmp_path.iterdir()} == set(map(str, range(ROUNDS)))


def test_a_folder_with_more_in_it_or_none_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    require_only(tmp_path, ["file"])
    with pytest.raises(Refused, match="file"):
        require_only(tmp_path, ["other"])
    for place in ("file", "none"):
        with pytest.raises(Refused, match=f"{place} cannot be read .*: mend its permissions"):
            require_only(tmp_path / place, ["file"])
