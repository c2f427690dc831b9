"""The tests of inside_*.py, each in a process of its own.

They have a node in their own process, to lay a hand on what is inside. Once a process has had such
a node, others in it and it do not always find each other any more.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from harness import ROOT

FOLDER = Path(__file__).parent
FILES = sorted(FOLDER.glob("inside_*.py"))


def names_in(path: Path) -> list[str]:
    """Names as pytest has them."""
    words = [sys.executable, "-m", "pytest", "--collect-only", "-q", path]
    listed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    return [line for line in listed.stdout.splitlines() if f"{path.name}::" in line]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_inside(path):
    names = names_in(path)
    assert len(names) >= 5
    for name in names:
        words = [sys.executable, "-m", "pytest", "-q", "-x", name]
        ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300)
        assert ended.returncode == 0, ended.stdout + ended.stderr
