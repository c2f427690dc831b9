"""The tables that a sweep over beds ends with: means over seeds, bed by bed."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from vdd_ros.commands.page.table import NONE, Table, number

MORE = {
    "cov": "cov", "tv": "TV", "stdr": "stdr", "ed": "ED", "collide": "collide", "switch": "switch",
    "parameters": "parameters",
}  # fmt: skip
DIGITS = {"cov": 1, "parameters": 0}
CALLS = (1, 2, 4, 8, 16, 35, 64)  # of samplers that are compared


def tables(cells: list[dict]) -> list[Table]:
    """For each bed: what methods are and cost, their other figures, controls, samplers."""
    made = []
    for bed in dict.fromkeys(cell["testbed"] for cell in cells):
        own = [cell for cell in cells if cell["testbed"] == bed]
        methods, controls, samplers = by_kind(own)
        made += [
            _verdicts(bed, methods),
            _figures(bed, methods),
            _controls(bed, controls),
            _samplers(bed, samplers),
        ]
    return [table for table in made if table.rows]


def by_kind(cells: list[dict]) -> tuple[list[dict], list[dict], list[dict]]:
    """Methods, controls and samplers of the teacher."""
    samplers = [cell for cell in cells if cell["sampler"]]
    trained = [cell for cell in cells if not cell["sampler"]]
    methods = [cell for cell in trained if not cell["control"]]
    return methods, [cell for cell in trained if cell["control"]], samplers


def _verdicts(bed: str, cells: list[dict]) -> Table:
    heads = [bed, "NFE", "off", "SW2", "pRMSE", "CPU s", "teacher calls", "accepted"]
    return Table(heads, [[name, *_verdict(seeds)] for name, seeds in _by_method(cells)])


def _verdict(seeds: list[dict]) -> list[str]:
    calls = mean(one["teacher_calls"] for one in seeds)
    return [
        number(mean(one["nfe"] for one in seeds), 0),
        *(number(mean(one[name] for one in seeds), 3) for name in ("off", "sw2", "prmse")),
        number(mean(one["cpu_seconds"] for one in seeds), 0),
        NONE if calls is None else f"{calls / 1e6:.1f} M",
        accepted(seeds),
    ]


def _figures(bed: str, cells: list[dict]) -> Table:
    own = {name: told for name, told in MORE.items() if any(name in cell for cell in cells)}
    rows = [
        [name, *(_more(mean(one.get(key) for one in seeds), key) for key in own)]
        for name, seeds in _by_method(cells)
    ]
    return Table([f"{bed}, more figures", *own.values()], rows)


def _more(value: float | None, key: str) -> str:
    if key == "parameters" and value is not None:
        return f"{value:,.0f}"
    return number(value, DIGITS.get(key, 3))


def _controls(bed: str, cells: list[dict]) -> Table:
    heads = [f"{bed}, known to fail", "cov", "TV", "off", "SW2", "accepted", "beside its band"]
    rows = []
    for name, seeds in _by_method(cells):
        missed = dict.fromkeys(figure for one in seeds for figure in one["missed"])
        figures = [number(mean(one["cov"] for one in seeds), 1)]
        figures += [number(mean(one[key] for one in seeds), 3) for key in ("tv", "off", "sw2")]
        rows.append([name, *figures, accepted(seeds), ", ".join(missed)])
    return Table(heads, rows)


def _samplers(bed: str, cells: list[dict]) -> Table:
    """Of so many calls at most, which sampler of the exact teacher is the closest by SW2."""
    heads = [f"{bed}, exact teacher", "best by SW2", "NFE", "off", "SW2", "pRMSE", "accepted"]
    rows = []
    for most in CALLS:
        own = [one for one in cells if one["nfe"] <= most and one["sampler"]["of"] == "exact"]
        if not own:
            continue
        best = min(own, key=lambda one: one["sw2"])
        figures = [number(best[key], 3) for key in ("off", "sw2", "prmse")]
        told = [best["method"], number(best["nfe"], 0), *figures, accepted([best])]
        rows.append([f"at most {most} calls", *told])
    return Table(heads, rows)


def accepted(seeds: list[dict]) -> str:
    """Of how many; a dash where no band says so."""
    known = [one["accepted"] for one in seeds if one["accepted"] is not None]
    if not known:
        return NONE
    if len(known) == 1:
        return "yes" if known[0] else "no"
    return f"{sum(known)} of {len(known)}"


def mean(values: Iterable[float | None]) -> float | None:
    """Over those that are known."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _by_method(cells: list[dict]) -> list[tuple[str, list[dict]]]:
    """In the order of the cells."""
    names = dict.fromkeys(cell["method"] for cell in cells)
    return [(name, [one for one in cells if one["method"] == name]) for name in names]
