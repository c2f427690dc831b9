"""A sweep over a task that is seen: teachers with and without the pictures of the same episodes."""

from __future__ import annotations

import json
from pathlib import Path

import drawing
import pytest
from foreign_data import CONFIG
from made_cells import cell
from small_sweep import written

from docs.results.sections.images import NAME, of_images
from vdd_ros import cli
from vdd_ros.commands.sweep.tasks.plan import TasksPlan
from vdd_ros.errors import UserError

SEEN, BLIND = (str(CONFIG / f"panda_lift_one_{form}.yaml") for form in ("images", "blind"))
CHANGES = {
    "tasks": {"lift_one": {"demonstrations": 3, "held_out": 1, "contract": SEEN}},
    "seeds": [0],
    "rollouts": 1,
    "encoder": {"channels": 2, "stages": 1, "augment": {"part": 1.0}},
    "teachers": {"seeing": {"encoder": {"keypoints": 4}}, "blind": {"contract": BLIND}},
    "students": {"vdd": {"method": "vdd", "teachers": ["seeing"]}},
    "acting": {},
}


def test_who_sees_and_who_does_not_learn_from_the_same_episodes(tmp_path: Path):
    gl = drawing.gl()
    out = tmp_path / "out"
    words = ("sweep", written(tmp_path, **CHANGES), "--out", out)
    for part in ("demonstrations", "0", "0/latency"):
        done = drawing.vdd(*words, "--part", f"lift_one/{part}", gl=gl)
        assert done.returncode == 0, done.stderr
    assert cli.main([*map(str, words), "--show"]) == 0
    cells = [json.loads(line) for line in (out / "cells.jsonl").read_text().splitlines()]
    assert [(cell["teacher"], cell["method"]) for cell in cells] == [
        ("seeing", "teacher"), ("seeing", "teacher-1"), ("seeing", "vdd"),
        ("blind", "teacher"), ("blind", "teacher-1"),
    ]  # fmt: skip
    assert all(cell["latency_us"]["p50"] > 0.0 for cell in cells)
    assert all(cell["training_cpu_seconds"] > 0.0 for cell in cells)
    runs = {
        name: json.loads((out / "lift_one" / "0" / name / "teacher" / "run.json").read_text())
        for name in ("seeing", "blind")
    }
    encoder = runs["seeing"]["configs"]["encoder"]
    assert (encoder["channels"], encoder["keypoints"]) == (2, 4)
    assert encoder["augment"] == {"part": 1.0, "colour": 0.2}
    assert "encoder" not in runs["blind"]["configs"]
    assert runs["blind"]["notes"]["trained_on"] == runs["seeing"]["notes"]["trained_on"]


@pytest.mark.parametrize(
    ("encoder", "told"),
    [({"stage": 2}, "seeing: encoder has no such setting"), ({"stages": 5}, "1 to 4 stages")],
)
def test_an_encoder_that_cannot_be_is_refused(tmp_path, encoder, told):
    with pytest.raises(UserError, match=told):
        TasksPlan.from_yaml(written(tmp_path, **CHANGES | {"encoder": encoder}))


def test_the_page_has_a_row_for_each_policy_with_what_its_training_took():
    cells = [
        cell("lift_one", 1, "teacher", teacher="seeing", training_cpu_seconds=90.0),
        cell("lift_one", 1, "vdd", teacher="seeing", training_cpu_seconds=None),
        cell("lift_one", 1, "teacher", teacher="blind", success=0.0, training_cpu_seconds=30.0),
    ]
    text = of_images("".join(json.dumps(one | {"benchmark": NAME}) + "\n" for one in cells))
    head, *rows = text.splitlines()
    assert head.startswith("`vdd sweep PLAN --out OUT`, a processor, 2 cores, 20 rollouts of each")
    assert rows[3:] == [
        "| seeing | teacher | 0.90 | 0.80 to 0.95 | 5.00 | 10 | 1.7 | 1.5 |",
        "| seeing | vdd | 0.90 | 0.80 to 0.95 | 5.00 | 1 | 1.7 | – |",
        "| blind | teacher | 0.00 | 0.80 to 0.95 | 5.00 | 10 | 1.7 | 0.5 |",
    ]
