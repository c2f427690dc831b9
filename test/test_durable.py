"""Files and folders that are whole at any moment: on file systems that lack a call as well."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from disks import FULL, full_disk

from vdd_ros import durable
from vdd_ros.durable import create_text, link_or_copy, lock_folder, place_folder, replace_text


def folder_of(path, content: str):
    path.mkdir()
    (path / "file").write_text(content)
    return path


class Lacking:
    """A C library without renameat2."""


class Refusing:
    """One whose file system cannot exchange names."""

    def renameat2(self, *_) -> int:
        return -1


@pytest.fixture(params=[None, Lacking, Refusing], ids=["exchanged", "no call", "refused"])
def library(request, monkeypatch):
    if request.param is not None:
        monkeypatch.setattr(durable.ctypes, "CDLL", lambda *_, **__: request.param())


def test_a_folder_takes_the_place_of_another(library, tmp_path):
    fresh, old = folder_of(tmp_path / ".fresh", "new"), folder_of(tmp_path / "place", "old")
    place_folder(fresh, old)
    assert (old / "file").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["place"], "nothing is left beside it"


def test_what_cannot_be_placed_is_told_and_kept(tmp_path):
    fresh = folder_of(tmp_path / "fresh", "new")
    with pytest.raises(FileNotFoundError):
        place_folder(fresh, tmp_path / "nowhere" / "place")
    assert (fresh / "file").read_text() == "new"


def test_a_file_of_another_file_system_is_copied(tmp_path):
    source, folder = tmp_path / "source", tmp_path / "folder"
    source.write_text("content")
    link_or_copy(source, folder / "linked")
    assert (folder / "linked").samefile(source)
    elsewhere = Path("/proc/version")
    link_or_copy(elsewhere, folder / "copied")
    assert (folder / "copied").read_bytes() == elsewhere.read_bytes()
    assert not (folder / "copied").samefile(elsewhere)


@pytest.mark.parametrize("write", [replace_text, create_text])
def test_a_text_that_finds_no_room_leaves_what_was_there(tmp_path, write):
    path = tmp_path / "text"
    path.write_text("before")
    with full_disk(), pytest.raises(OSError, match=FULL):
        write(path, "after" * 1000)
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]


def test_who_creates_a_file_second_is_told(tmp_path):
    create_text(tmp_path / "text", "first")
    with pytest.raises(FileExistsError):
        create_text(tmp_path / "text", "second")
    assert (tmp_path / "text").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["text"]


def test_a_folder_is_held_by_one_at_a_time(tmp_path):
    first = lock_folder(tmp_path)
    assert first is not None and lock_folder(tmp_path) is None
    os.close(first)
    second = lock_folder(tmp_path)
    assert second is not None
    os.close(second)
