"""`make docs`: the site of all pages is built, strictly, in an environment of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
from pages import ROOT

SOURCES = ("Makefile", "mkdocs.yml", "docs", "requirements")


@pytest.mark.slow
def test_the_site_is_built_and_asks_nobody_else_for_anything(tmp_path):
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    for page in ROOT.glob("*.md"):  # which pages of docs/ link to
        shutil.copy(page, tmp_path)
    # its environment is made once: the first time takes a network, as that of the tests does
    python = f"PYTHON={sys.executable}"
    subprocess.run(["make", "--silent", ".venv-docs/docs.txt", python], cwd=ROOT, check=True)
    (tmp_path / ".venv-docs").symlink_to(ROOT / ".venv-docs")
    for name in ("LICENSE", "config", "launch", "vdd_ros", "policies", "sim", "test", "docker"):
        (tmp_path / name).symlink_to(ROOT / name)
    command = ["make", "docs", python]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    site = tmp_path / "out" / "site"
    assert "<title>vdd_ros</title>" in (site / "index.html").read_text(encoding="utf-8")
    assert (site / "tutorials" / "your_robot.html").is_file()
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert 'src="http' not in text and '<link rel="stylesheet" href="http' not in text, page
