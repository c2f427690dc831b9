"""`requirements/audit.py`: pins of the locks beside a file of known vulnerabilities."""

from __future__ import annotations

import importlib.util
import json

import pytest
from pages import ROOT

SCRIPT = ROOT / "requirements" / "audit.py"
SPEC = importlib.util.spec_from_file_location("audit", SCRIPT)
assert SPEC is not None and SPEC.loader is not None
audit = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(audit)
META = {"timestamp": 1775023247}


@pytest.fixture
def database(tmp_path):
    """write(packages): the file, in the form of pyupio/safety-db."""

    def write(packages: dict[str, list[str]]):
        path = tmp_path / "insecure.json"
        path.write_text(json.dumps({"$meta": META, **packages}))
        return path

    return write


def test_pins_that_are_in_it_are_named_with_their_locks(database, capsys):
    pins = audit.pinned(ROOT / "requirements")
    [(version, locks)] = [(pin[1], where) for pin, where in pins.items() if pin[0] == "mujoco"]
    path = database({"MuJoCo": ["<0.1", f"<={version}"], "numpy": ["<0.1"], "other": [">=0"]})
    assert audit.main(path) == 1
    told = capsys.readouterr().out.splitlines()
    assert told[0] == f"mujoco {version} (<={version}): {', '.join(locks)}"
    assert "py311.txt" in locks
    assert told[1].startswith(f"1 of {len(pins)} pins; ") and told[1].endswith("; 2026-04-01")


def test_none_is_found_where_all_are_newer(database, capsys):
    assert audit.main(database({"numpy": ["<0.1", "==0.2"]})) == 0
    assert capsys.readouterr().out.startswith("0 of ")


def test_every_pin_of_a_lock_is_looked_at():
    pins = audit.pinned(ROOT / "requirements")
    for lock in (ROOT / "requirements").glob("py3*.txt"):
        lines = [line for line in lock.read_text().splitlines() if "==" in line]
        assert len(lines) == sum(lock.name in locks for locks in pins.values()) > 150
