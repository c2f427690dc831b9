"""A plan of simulated tasks that is done in a minute."""

from __future__ import annotations

from pathlib import Path

import yaml

SMALL = {
    "format_version": 1,
    "name": "small",
    "tasks": {"avoid": {"demonstrations": 3, "held_out": 1}},
    "seeds": [0, 1],
    "rollouts": 2,
    "teacher": {"width": 16, "blocks": 1, "octaves": 0, "rank": 4},
    "teacher_training": {"steps": 4},
    "teachers": {"edm": {}},
    "student": {"n_experts": 2, "width": 8, "blocks": 1, "octaves": 0, "bottleneck": 2},
    "student_training": {"steps": 4},
    "students": {"vdd": {"method": "vdd", "teachers": ["edm"]}},
    "acting": {
        "not-sticky": {"of": "vdd", "rule": {"hold_ticks": 1, "agreement": 0}},
        "teacher-often": {"of": "teacher", "rule": {"replan_ticks": 4}},
    },
}


def written(folder: Path, **changes) -> Path:
    path = folder / "plan.yaml"
    path.write_text(yaml.safe_dump(SMALL | changes, sort_keys=False))
    return path
