"""A sweep over a task that is seen: teachers with and without the pictures of the same episodes."""

from __future__ import annotations

import json
from pathlib import Path

import drawing
import numpy as np
import pytest
from foreign_data import CONFIG
from made_cells import cell
from small_sweep import written

from docs.results.sections.images import SWEEPS, of_images
from vdd_ros.commands.sweep.tasks.cells import Group
from vdd_ros.commands.sweep.tasks.plan import TasksPlan
from vdd_ros.commands.sweep.tasks.results import told
from vdd_ros.commands.sweep.tasks.unit import teacher_of, time_calls
from vdd_ros.errors import UserError
from vdd_ros.policies.runs import load_windows

SEEN, BLIND = (str(CONFIG / f"panda_lift_one_{form}.yaml") for form in ("images", "blind"))
CHANGES = {
    "tasks": {"lift_one": {"demonstrations": 3, "held_out": 1, "contract": SEEN}},
    "seeds": [0],
    "rollouts": 1,
    "encoder": {"channels": 2, "stages": 1, "augment": {"part": 1.0}},
    "teachers": {"seeing": {"encoder": {"keypoints": 4}}, "blind": {"contract": BLIND}},
    "students": {"vdd": {"method": "vdd", "teachers": ["blind"]}},
    "acting": {},
}


def test_who_sees_and_who_does_not_learn_from_the_same_episodes(tmp_path: Path):
    gl, out = drawing.gl(), tmp_path / "out"
    file = written(tmp_path, **CHANGES)
    part = ("--part", "lift_one/demonstrations")
    done = drawing.vdd("sweep", file, "--out", out, *part, gl=gl)
    assert done.returncode == 0, done.stderr
    plan = TasksPlan.from_yaml(file)
    groups = [Group("lift_one", 0, name) for name in plan.teachers]
    seeing, blind = (teacher_of(plan, group, out) for group in groups)
    assert seeing.encoder is not None and blind.encoder is None
    config = seeing.encoder.config
    assert (config.channels, config.stages, config.keypoints) == (2, 1, 4)
    assert (config.augment.part, config.augment.colour) == (1.0, 0.2)
    known = [load_windows(one, held_out=False).observations for one in (seeing, blind)]
    np.testing.assert_array_equal(*known)
    time_calls(plan, groups[0], out)
    latency = told(groups[0].folder(out), "latency")
    assert all(latency[name]["p50"] > 0.0 for name in ("teacher", "teacher-1"))


@pytest.mark.parametrize(
    ("encoder", "told"),
    [({"stage": 2}, "seeing: encoder has no such setting"), ({"stages": 5}, "1 to 4 stages")],
)
def test_an_encoder_that_cannot_be_is_refused(tmp_path, encoder, told):
    with pytest.raises(UserError, match=told):
        TasksPlan.from_yaml(written(tmp_path, **CHANGES | {"encoder": encoder}))


def test_the_page_has_a_row_for_each_policy_with_what_its_training_took():
    cells = [
        cell("lift_one", 1, "teacher", teacher="seeing", training_cpu_seconds=90.0, entropy=None),
        cell("lift_one", 1, "vdd", teacher="seeing", training_cpu_seconds=None, entropy=None),
        cell(
            "lift_one",
            1,
            "teacher",
            teacher="blind",
            success=0.0,
            entropy=None,
            training_cpu_seconds=30.0,
        ),
    ]
    assert rows_of(cells) == [
        "| teacher | policy | success | 95 % | energy distance | off support | mean s | NFE "
        "| training [min] | of one core [min] |",
        "| seeing | teacher | 0.90 | 0.80 to 0.95 | 0.0100 | 0.020 | 5.00 | 10 | 1.7 | 1.5 |",
        "| seeing | vdd | 0.90 | 0.80 to 0.95 | 0.0100 | 0.020 | 5.00 | 1 | 1.7 | – |",
        "| blind | teacher | 0.00 | 0.80 to 0.95 | 0.0100 | 0.020 | 5.00 | 10 | 1.7 | 0.5 |",
    ]


def test_of_several_tasks_with_several_ways_each_row_tells_the_task_and_the_entropy():
    known = {"teacher": "seeing", "entropy": 0.5, "training_cpu_seconds": 60.0}
    cells = [cell(task, 1, "vdd", **known) for task in ("sort", "stack_1")]
    head, *rows = rows_of(cells)
    assert head.startswith("| task | policy | success | 95 % | entropy | energy distance |")
    assert [row.split(" | ")[0] for row in rows] == ["| sort", "| stack_1"]
    assert all(row.split(" | ")[4] == "0.50" for row in rows)


def rows_of(cells: list[dict]) -> list[str]:
    """The table of the section for these cells, without its rule."""
    text = of_images("".join(json.dumps(one | {"benchmark": SWEEPS[0]}) + "\n" for one in cells))
    origin, _, head, _, *rows = text.splitlines()
    assert origin.startswith(
        "`vdd sweep PLAN --out OUT`, a processor, 2 cores, 20 rollouts of each"
    )
    return [head, *rows]
