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


def table_of(cells: list[dict]) -> Table:
    """One row per policy, in the cells' order."""
    heads = ["policy", "NLL", *FIGURES.values(), "parameters", "p50 / p99 µs", "NLL over folds"]
    is_beside = _over_folds(cells, STAYS, "nll") is not None
    heads += [f"less {STAYS}'s"] * is_beside + ["off support over folds"]
    names = dict.fromkeys(cell["policy"] for cell in cells)
    return Table(heads, [[name, *_row(name, cells, is_beside)] for name in names])


def _row(name: str, cells: list[dict], is_beside: bool) -> list[str]:
    held_out = next(c for c in cells if (c["policy"], c["split"]) == (name, HELD_OUT))
    nll, low_high = _text(held_out["nll"]), held_out.get("nll_interval")
    parameters, p50 = held_out.get("parameters"), held_out.get("p50_us")
    row = [
        nll if low_high is None else f"{nll} [{low_high[0]:.3f}, {low_high[1]:.3f}]",
        *(_text(held_out.get(figure)) for figure in FIGURES),
        NONE if parameters is None else f"{parameters:,}",
        NONE if p50 is None else f"{p50:.0f} / {held_out['p99_us']:.0f}",
    ]
    over_folds, stays = (_over_folds(cells, one, "nll") for one in (name, STAYS))
    row.append(_interval(over_folds))
    if is_beside:
        row.append(_interval(_less(over_folds, None if name == STAYS else stays)))
    return [*row, _interval(_over_folds(cells, name, "off_support"))]


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
