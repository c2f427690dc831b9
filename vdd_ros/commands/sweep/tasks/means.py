"""The table over all tasks of a sweep: one row per method, for those who read one table only."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from vdd_ros.commands.page.table import Table, number
from vdd_ros.commands.sweep.tasks.claims import TEACHER

SHORT = {"energy_distance": "energy distance", "off_support": "off support"}


def means_table(cells: list[dict], teacher: str) -> Table:
    """Core methods over all tasks of one teacher, in short: means over seeds and tasks, behaviour
    as a ratio to the teacher's, task by task."""
    own = [cell for cell in cells if cell["teacher"] == teacher and not cell["ablation"]]
    tasks = list(dict.fromkeys(cell["task"] for cell in own))
    heads = [f"{len(tasks)} tasks, teacher {teacher}", "success / teacher's", "entropy / teacher's"]
    rows = []
    for name in dict.fromkeys(cell["method"] for cell in own):
        method = [cell for cell in own if cell["method"] == name]
        ratios = [_ratio(method, own, figure) for figure in ("success", "entropy")]
        means = [_mean(cell[figure] for cell in method) for figure in SHORT]
        p50 = _mean((cell["latency_us"] or {}).get("p50") for cell in method)
        told = [*(number(one, 3) for one in ratios), *(number(one, 4) for one in means)]
        rows.append([name, *told, str(method[0]["nfe"]), number(p50, 0)])
    return Table([*heads, *SHORT.values(), "NFE", "p50 µs"], rows)


def _ratio(method: list[dict], every: list[dict], figure: str) -> float | None:
    """Mean over tasks of the method's mean over seeds by the teacher's; None where that is 0."""
    ratios = []
    for task in dict.fromkeys(cell["task"] for cell in method):
        ours = _mean(cell[figure] for cell in method if cell["task"] == task)
        beside = [c for c in every if (c["task"], c["method"]) == (task, TEACHER)]
        theirs = _mean(cell[figure] for cell in beside)
        if ours is None or not theirs:
            return None
        ratios.append(ours / theirs)
    return _mean(ratios)


def _mean(values: Iterable[float | None]) -> float | None:
    """None where one is missing, or all are."""
    every = list(values)
    known = [value for value in every if value is not None]
    return float(np.mean(known)) if known and len(known) == len(every) else None
