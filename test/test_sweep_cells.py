"""cells.jsonl: what of a sweep is finished, while it goes on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from small_sweep import SMALL, written

from vdd_ros import cli
from vdd_ros.commands.sweep.same import keep
from vdd_ros.commands.sweep.tasks.cells import Group, finished_cells, is_known, known_cells
from vdd_ros.commands.sweep.tasks.facts import facts_of
from vdd_ros.commands.sweep.tasks.plan import TasksPlan
from vdd_ros.commands.sweep.tasks.results import tell
from vdd_ros.commands.sweep.tasks.table import core_tables
from vdd_ros.commands.sweep.workers import require_none, work_on_all
from vdd_ros.errors import UserError

JUDGED = {"nfe": 17, "nll": -3.0, "energy_distance": 0.01, "energy_distance_se": 0.001,
          "energy_by_observation": [0.0, 0.02], "off_support": 0.02,
          "off_support_means": 0.0, "sliced_w2": 0.1, "parameters": 100,
          "hardware": "a processor"}  # fmt: skip
ROLLED_OUT = {"success": 0.5, "entropy": 0.1, "ways": [1, None], "contexts": 1,
              "missing": {}, "modes_declared": 24, "modes": 0, "failures": {"late": 1},
              "acting_rule": "draw"}  # fmt: skip
LATENCY = {"p50": 10.0, "p99": 20.0}
RESULTS = {"fidelity": JUDGED, "rollouts": ROLLED_OUT, "latency": LATENCY}


def finish(plan: TasksPlan, out: Path, seed: int, *policies: str) -> Path:
    """As a sweep leaves policies of the task avoid, with figures from nowhere."""
    folder = out / "avoid" / str(seed) / "edm"
    keep(folder, facts_of(plan, "avoid", seed, "edm"))
    for kind, figures in RESULTS.items():
        tell(folder, kind, dict.fromkeys(policies, figures))
    for name, seconds in (("teacher", 30.0), ("vdd", 12.0)):
        (folder / name).mkdir()
        run = {"configs": {"student": {"n_experts": 2}}}
        (folder / name / "run.json").write_text(json.dumps(run))
        whole = {"seconds": seconds, "cpu_seconds": seconds / 2}
        lines = (
            {"step": step} | {n: one * step / 2 for n, one in whole.items()} for step in (1, 2)
        )
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / name / "metrics.jsonl").write_text(text)
    return folder


def methods(cells: list[dict]) -> list[tuple[int, str]]:
    return [(cell["seed"], cell["method"]) for cell in cells]


def test_only_what_is_judged_and_rolled_out_is_a_cell_in_the_plans_order(tmp_path):
    plan, out = TasksPlan.from_yaml(written(tmp_path)), tmp_path / "out"
    finish(plan, out, 1, "teacher", "teacher-1", "vdd", "not-sticky", "teacher-often")
    folder = finish(plan, out, 0, "vdd", "teacher")
    every = [(0, "teacher"), (0, "vdd")]
    every += [(1, name) for name in ("teacher", "teacher-1", "vdd", "not-sticky", "teacher-often")]
    cells = finished_cells(plan, out, "vdd sweep", {})
    assert methods(cells) == every
    assert [cell["training_seconds"] for cell in cells[-5:]] == [30.0, 30.0, 12.0, 12.0, 30.0]
    assert [cell["training_cpu_seconds"] for cell in cells[-5:]] == [15.0, 15.0, 6.0, 6.0, 15.0]
    assert [cell["experts"] for cell in cells[-5:]] == [None, None, 2, 2, None]
    assert [cell["objective"] for cell in cells[-5:]] == [None, None, "vdd", "vdd", None]
    assert [cell["ablation"] for cell in cells[-5:]] == [False, False, False, True, True]
    for kind in ("fidelity", "rollouts"):
        figures = RESULTS[kind]
        tell(folder, kind, {"teacher": figures})
        assert methods(finished_cells(plan, out, "vdd sweep", {})) == [every[0], *every[2:]]
        tell(folder, kind, {"teacher": figures, "vdd": figures})
    tell(folder, "latency", {"teacher": LATENCY})
    timed, untimed = finished_cells(plan, out, "vdd sweep", {})[:2]
    assert timed["latency_us"] == LATENCY and timed["missing"] == {}
    assert untimed["latency_us"] is None and "timed" in untimed["missing"]["latency_us"]
    assert [row[-2] for row in core_tables([timed, untimed])[0].rows] == ["10 / 20", "–"]
    more = TasksPlan.from_yaml(written(tmp_path, rollouts=3))
    assert finished_cells(more, out, "vdd sweep", {}) == []


def test_what_is_finished_is_shown_while_nothing_is_worked_on(tmp_path, capsys, monkeypatch):
    out, words = tmp_path / "out", ["sweep", str(written(tmp_path)), "--out", str(tmp_path / "out")]
    assert cli.main([*words, "--show"]) == 2
    assert "name that folder" in capsys.readouterr().err
    finish(TasksPlan.from_yaml(Path(words[1])), out, 0, "teacher", "vdd")

    def nobody(*args):
        raise AssertionError("worked on")

    monkeypatch.setattr("vdd_ros.commands.sweep.tasks.sweep.spread", nobody)
    assert cli.main([*words, "--show"]) == 0
    assert "2 of 10 cells are finished" in capsys.readouterr().out
    lines = (out / "cells.jsonl").read_text().splitlines()
    assert methods([json.loads(line) for line in lines]) == [(0, "teacher"), (0, "vdd")]
    left = ["avoid", "cells.jsonl", "plots", "tables.md"]
    assert sorted(path.name for path in out.iterdir()) == left
    assert "| vdd | 0.500 | 0.100 |" in (out / "tables.md").read_text()
    assert len(list((out / "plots").iterdir())) == 2
    other = written(tmp_path, student=SMALL["student"] | {"width": 9})
    assert cli.main(["sweep", str(other), "--out", str(out), "--show"]) == 2


def test_a_part_that_fails_stops_no_other_and_is_told_at_the_end(tmp_path):
    told = []
    words = ["sweep", tmp_path / "none.yaml", "--out", tmp_path]
    failed = work_on_all(words, ["a", "b"], tmp_path, 1, lambda: told.append(True))
    assert told == [True, True] and list(failed) == ["a", "b"]
    with pytest.raises(UserError, match="a ended with exit code 2: .*none.yaml.*; so did b: mend"):
        require_none(failed)
    require_none({})


def test_a_policy_is_compared_with_likelihood_observation_by_observation(tmp_path):
    plan, out = TasksPlan.from_yaml(written(tmp_path)), tmp_path / "out"
    folder = finish(plan, out, 0, "teacher", "vdd")
    assert [cell["energy_less_nll"] for cell in finished_cells(plan, out, "", {})] == [None, None]
    nll = JUDGED | {"energy_by_observation": [0.03, 0.01]}
    tell(folder, "fidelity", {"teacher": JUDGED, "vdd": JUDGED, "nll": nll})
    found = finished_cells(plan, out, "", {})[1]
    assert found["energy_less_nll"] == {"mean": pytest.approx(-0.01), "se": pytest.approx(0.02)}
    assert "energy_by_observation" not in found


def test_what_another_sweep_has_finished_is_left_to_it(tmp_path, capsys):
    path, out, lines = written(tmp_path), tmp_path / "out", tmp_path / "cells.jsonl"
    plan = TasksPlan.from_yaml(path)
    finish(plan, out, 0, "teacher", "teacher-1", "vdd", "not-sticky", "teacher-often")
    finish(plan, out, 1, "teacher", "teacher-1", "vdd")
    cells = finished_cells(plan, out, "there", {})
    lines.write_text("".join(json.dumps(cell) + "\n" for cell in cells))
    whole, part = Group("avoid", 0, "edm"), Group("avoid", 1, "edm")  # which lacks two policies
    known = known_cells(plan, lines)
    assert known == {whole: cells[:5], part: cells[5:]}
    assert is_known(plan, whole, known) and not is_known(plan, part, known)
    assert finished_cells(plan, tmp_path / "new", "here", known) == cells
    finish(plan, tmp_path / "new", 0, "teacher")
    finish(plan, tmp_path / "new", 1, "teacher")
    found = finished_cells(plan, tmp_path / "new", "here", known)
    assert found[:5] == cells[:5]  # and of who works on the other one what is there
    assert [(cell["method"], cell["command"]) for cell in found[5:]] == [("teacher", "here")]
    shutil.rmtree(tmp_path / "new")
    other = known_cells(TasksPlan.from_yaml(written(tmp_path, rollouts=3)), lines)
    assert other == {whole: [], part: []}
    wider = written(tmp_path, student=SMALL["student"] | {"width": 9})
    other = known_cells(TasksPlan.from_yaml(wider), lines)
    assert methods(other[whole]) == [(0, "teacher"), (0, "teacher-1"), (0, "teacher-often")]
    words = ["sweep", str(written(tmp_path, seeds=[0])), "--out", str(tmp_path / "new")]
    assert cli.main([*words, "--known", str(lines)]) == 0
    assert "5 of 5 cells are finished" in capsys.readouterr().out
    assert sorted(one.name for one in (tmp_path / "new").iterdir()) == [
        "cells.jsonl", "plots", "tables.md",
    ]  # fmt: skip


def test_a_file_that_holds_no_cells_is_refused(tmp_path):
    plan, path = TasksPlan.from_yaml(written(tmp_path)), tmp_path / "cells.jsonl"
    for text in ("{", '{"a": 1}', "[1]"):
        path.write_text(text)
        with pytest.raises(UserError, match="name the cells.jsonl of a sweep"):
            known_cells(plan, path)
    with pytest.raises(UserError, match="cannot be read"):
        known_cells(plan, tmp_path / "none")
