"""docs/licences.md is of the lock as it is."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_every_package_of_the_lock_is_listed_in_its_version():
    page = (ROOT / "docs" / "licences.md").read_text().partition("\n## Each\n")[2]
    listed = re.findall(r"^\| ([a-z0-9-]+) \| ([^ ]+) \| (.+) \|$", page, re.MULTILINE)
    pins = [line.split("==") for line in (ROOT / "requirements/py311.txt").read_text().split()]
    missing = "write it anew: .venv/bin/python requirements/licences.py"
    assert [(name, version) for name, version, _ in listed[1:]] == [
        (name, version) for name, version in sorted(pins)
    ], missing


def test_what_is_not_permissive_is_told_of():
    page = (ROOT / "docs" / "licences.md").read_text()
    told, _, listed = page.partition("\n## Each\n")
    strict = re.compile(r"GPL|MPL|Mozilla|Proprietary|GNU")
    rows = re.findall(r"^\| ([a-z0-9-]+) \| [^ ]+ \| (.+) \|$", listed, re.MULTILINE)
    names = [
        re.sub("-cu13-(bindings|libs)$", "", name) for name, kind in rows if strict.search(kind)
    ]
    assert "quadprog" in names
    assert [name for name in names if f"**{name}**" not in told] == []
