"""docs/tasks.md: a section, a picture and a clip for every task that somebody shows."""

import re
from pathlib import Path

import pytest

from vdd_ros.sim.demonstrators import OPERATORS

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = (DOCS / "tasks.md").read_text(encoding="utf-8")
MOST_BYTES = {"png": 100_000, "webp": 500_000}


@pytest.mark.parametrize("task", OPERATORS)
def test_every_task_has_its_section_and_pictures(task):
    assert re.search(rf"^## .*\b{task}\b", PAGE, re.MULTILINE), f"docs/tasks.md lacks {task}"
    for kind, most in MOST_BYTES.items():
        link = f"pictures/tasks/{task}.{kind}"
        assert f"]({link})" in PAGE
        assert 5_000 < (DOCS / link).stat().st_size < most


def test_all_pictures_together_are_small_and_each_is_shown():
    pictures = (DOCS / "pictures").rglob("*.*")
    files = [path for path in pictures if path.suffix not in (".py", ".pyc")]
    assert sum(path.stat().st_size for path in files) < 3_000_000
    assert {path.stem for path in (DOCS / "pictures" / "tasks").iterdir()} == set(OPERATORS)
    pages = [DOCS.parent / "README.md", *DOCS.rglob("*.md")]
    shown = "".join(path.read_text(encoding="utf-8") for path in pages)
    for path in files:
        assert f"{path.relative_to(DOCS)})" in shown, path
