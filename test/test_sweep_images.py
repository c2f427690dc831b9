"""A sweep over a task that is seen: teachers with and without the pictures of the same episodes."""

from __future__ import annotations

import json
from pathlib import Path

import drawing
import pytest
from foreign_data import CONFIG
from small_sweep import written

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
    done = drawing.vdd("sweep", written(tmp_path, **CHANGES), "--out", out, gl=gl)
    assert done.returncode == 0, done.stderr
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
