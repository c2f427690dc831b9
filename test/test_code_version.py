"""Which code made a result: the commit of its checkout, and whether that is all of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from vdd_ros import code_version


@pytest.fixture
def checkout(tmp_path, monkeypatch) -> Path:
    """A checkout of one commit, which is taken for that of this code."""
    code = tmp_path / "vdd_ros" / "code_version.py"
    code.parent.mkdir()
    code.write_text("as committed\n")
    monkeypatch.setattr(code_version, "__file__", str(code))
    return tmp_path


def git(folder: Path, *words: str) -> str:
    named = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.invalid"]
    command = ["git", "-C", str(folder), *named, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_a_commit_is_told_and_marked_where_files_are_others(checkout):
    git(checkout, "init", "-q")
    git(checkout, "add", ".")
    git(checkout, "commit", "-q", "-m", "first")
    git(checkout, "tag", "-a", "v1", "-m", "v1")
    first = git(checkout, "rev-parse", "HEAD")[:12]
    assert code_version.commit() == first
    Path(code_version.__file__).write_text("changed\n")
    assert code_version.commit() == f"{first}+"


def test_what_is_no_checkout_has_no_commit(checkout):
    assert code_version.commit() is None
    (checkout / ".git").mkdir()  # of something else, or broken
    assert code_version.commit() is None
