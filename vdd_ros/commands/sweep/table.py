"""The table that a sweep ends with: held-out figures, and their spread over the folds."""

from __future__ import annotations

import numpy as np
from rich.table import Table

from vdd_ros.commands.sweep.plan import HELD_OUT
from vdd_ros.statistics import mean_interval

FIGURES = {
    "nll": "NLL",
    "energy_distance": "energy distance",
    "off_support": "off-support",
    "off_support_means": "off-support of means",
}
NONE = "–"


def rows_of(cells: list[dict]) -> tuple[list[str], list[list[str]]]:
    """Headings, and one row of texts per policy in the cells' order."""
    names = list(dict.fromkeys(cell["policy"] for cell in cells))
    headings = ["policy", *FIGURES.values(), "NLL over folds", "parameters"]
    return headings, [_row(name, [c for c in cells if c["policy"] == name]) for name in names]


def table_of(cells: list[dict]) -> Table:
    """For people at a terminal."""
    headings, rows = rows_of(cells)
    table = Table(*headings)
    for row in rows:
        table.add_row(*row)
    return table


def to_markdown(cells: list[dict]) -> str:
    """For a README."""
    headings, rows = rows_of(cells)
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _row(name: str, cells: list[dict]) -> list[str]:
    held_out = next(cell for cell in cells if cell["split"] == HELD_OUT)
    figures = [_text(held_out.get(figure)) for figure in FIGURES]
    if (interval := held_out.get("nll_interval")) is not None:
        figures[0] += f" [{interval[0]:.3g}, {interval[1]:.3g}]"
    folds = [cell["nll"] for cell in cells if cell["split"] != HELD_OUT and cell["nll"] is not None]
    over_folds = NONE
    if len(folds) > 1:
        mean, low, high = mean_interval(np.array(folds))
        over_folds = f"{mean:.3g} [{low:.3g}, {high:.3g}]"
    parameters = held_out.get("parameters")
    return [name, *figures, over_folds, NONE if parameters is None else f"{parameters:,}"]


def _text(value: float | None) -> str:
    return NONE if value is None else f"{value:.3g}"
