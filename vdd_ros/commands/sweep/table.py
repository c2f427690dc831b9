"""The table that a sweep ends with: held-out figures, and their spread over the folds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vdd_ros.commands.sweep.plan import HELD_OUT
from vdd_ros.statistics import mean_interval

FIGURES = {
    "energy_distance": "energy distance",
    "off_support": "off support",
    "off_support_means": "of means",
}
STAYS = "hold-last"  # what a likelihood says of a policy is what it adds to this one's
NONE = "–"


class Table(NamedTuple):
    """rows: lists of texts, one per column of `heads`."""

    heads: list[str]
    rows: list[list[str]]


def held_out_table(cells: list[dict]) -> Table:
    """One row per policy, in the cells' order: figures of the held-out split."""
    heads = ["policy", "NLL", *FIGURES.values(), "parameters", "p50 / p99 µs"]
    held_out = [cell for cell in cells if cell["split"] == HELD_OUT]
    return Table(heads, [_held_out_row(cell) for cell in held_out])


def _held_out_row(cell: dict) -> list[str]:
    low_high, parameters, p50 = (cell.get(key) for key in ("nll_interval", "parameters", "p50_us"))
    nll = _text(cell["nll"])
    return [
        cell["policy"],
        nll if low_high is None else f"{nll} [{low_high[0]:.3f}, {low_high[1]:.3f}]",
        *(_text(cell.get(figure)) for figure in FIGURES),
        NONE if parameters is None else f"{parameters:,}",
        NONE if p50 is None else f"{p50:.0f} / {cell['p99_us']:.0f}",
    ]


def folds_table(cells: list[dict]) -> Table | None:
    """One row per policy, means over folds with their intervals; None without folds."""
    names = dict.fromkeys(cell["policy"] for cell in cells)
    rows = []
    for name in names:
        nll, support, stays = (
            _over_folds(cells, one, figure)
            for one, figure in ((name, "nll"), (name, "off_support"), (STAYS, "nll"))
        )
        less = None if name == STAYS else _less(nll, stays)
        rows.append([name, _interval(nll), _interval(less), _interval(support)])
    heads = ["policy, over folds", "NLL", f"NLL less {STAYS}'s", "off support"]
    return Table(heads, rows) if any(row[-1] != NONE for row in rows) else None


def _less(values: np.ndarray | None, others: np.ndarray | None) -> np.ndarray | None:
    return None if values is None or others is None else values - others


def _over_folds(cells: list[dict], name: str, figure: str) -> np.ndarray | None:
    """(folds,) of one policy; None where there are too few for an interval."""
    values = [c[figure] for c in cells if c["policy"] == name and c["split"] != HELD_OUT]
    return np.array(values) if len(values) > 1 and None not in values else None


def _interval(values: np.ndarray | None) -> str:
    if values is None:
        return NONE
    mean, low, high = mean_interval(values)
    return f"{mean:.3f} [{low:.3f}, {high:.3f}]"


def _text(value: float | None) -> str:
    return NONE if value is None else f"{value:.3f}"
