"""The tables that a sweep over tasks ends with: one per task, means over seeds."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from vdd_ros.commands.page.table import NONE, Table, number
from vdd_ros.commands.sweep.tasks_claims import VDD, Claim, claims
from vdd_ros.statistics import mean_interval

FIGURES = {
    "success": "success",
    "entropy": "entropy",
    "entropy_dropped": "entropy, dropped",
    "return": "return",
    "nll": "NLL",
    "energy_distance": "energy distance",
    "sliced_w2": "sliced W2",
    "off_support": "off support",
    "off_support_means": "of means",
    "modes": "modes",
}


def tables(cells: list[dict]) -> list[Table]:
    """One for each task and teacher, and what was to be shown of each teacher's students."""
    claimed = dict.fromkeys(cell["teacher"] for cell in cells if cell["method"] == VDD)
    return [*tasks_tables(cells), *(claims_table(claims(cells, teacher)) for teacher in claimed)]


def tasks_tables(cells: list[dict]) -> list[Table]:
    """One for each task and teacher, in the order of the cells."""
    groups = dict.fromkeys((cell["task"], cell["teacher"]) for cell in cells)
    return [
        _table(task, teacher, [c for c in cells if (c["task"], c["teacher"]) == (task, teacher)])
        for task, teacher in groups
    ]


def claims_table(found: list[Claim]) -> Table:
    """What was to be shown, and whether it was."""
    verdicts = {True: "reached", False: "missed", None: "not measured"}
    rows = [[claim.goal, claim.figure, verdicts[claim.reached]] for claim in found]
    return Table(["goal", "found", ""], rows)


def _table(task: str, teacher: str, cells: list[dict]) -> Table:
    methods = dict.fromkeys(cell["method"] for cell in cells)
    rows = [_row([cell for cell in cells if cell["method"] == name]) for name in methods]
    heads = [f"{task}, teacher {teacher}", *FIGURES.values(), "NFE", "parameters"]
    return Table([*heads, "p50 / p99 µs"], rows)


def _row(seeds: list[dict]) -> list[str]:
    """The means over seeds, with their 95 % intervals below."""
    first = seeds[0]
    p50, p99 = (float(np.mean([one["latency_us"][p] for one in seeds])) for p in ("p50", "p99"))
    return [
        first["method"],
        *(_figure(one.get(figure) for one in seeds) for figure in FIGURES),
        str(first["nfe"]),
        f"{first['parameters']:,}",
        f"{p50:.0f} / {p99:.0f}",
    ]


def _figure(values: Iterable[float | None]) -> str:
    known = [float(value) for value in values if value is not None]
    if not known:
        return NONE
    if len(known) == 1:
        return number(known[0], 3)
    mean, low, high = mean_interval(np.array(known))
    return f"{mean:.3f}\n[{low:.3f}, {high:.3f}]"
