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


def table_of(cells: list[dict]) -> Table:
    """One row per policy, in the cells' order."""
    table = Table("policy", *FIGURES.values(), "NLL over folds", "parameters")
    for name in dict.fromkeys(cell["policy"] for cell in cells):
        table.add_row(*_row(name, [cell for cell in cells if cell["policy"] == name]))
    return table


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
