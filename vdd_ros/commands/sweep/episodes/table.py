"""The table that a sweep ends with: held-out figures, and their spread over the folds."""

from __future__ import annotations

import numpy as np

from vdd_ros.commands.page.table import NONE, Table, number
from vdd_ros.commands.sweep.episodes.plan import HELD_OUT
from vdd_ros.statistics import mean_interval

FIGURES = {
    "energy_distance": "energy distance",
    "off_support": "off support",
    "off_support_means": "of means",
}
STAYS = "hold-last"  # what a likelihood says of a policy is what it adds to this one's


def held_out_table(cells: list[dict]) -> Table:
    """One row per policy, in the cells' order: figures of the held-out split."""
    heads = ["policy", "NLL", f"NLL less {STAYS}'s", *FIGURES.values(), "parameters"]
    held_out = [cell for cell in cells if cell["split"] == HELD_OUT]
    stays = _by_episode(held_out, STAYS)
    rows = [_held_out_row(cell, _less(_by_episode([cell]), stays)) for cell in held_out]
    return Table([*heads, "p50 / p99 µs"], rows)


def _held_out_row(cell: dict, less: np.ndarray | None) -> list[str]:
    low_high, parameters, p50 = (cell.get(key) for key in ("nll_interval", "parameters", "p50_us"))
    nll = number(cell["nll"], 3)
    return [
        cell["policy"],
        nll if low_high is None else f"{nll} [{low_high[0]:.3f}, {low_high[1]:.3f}]",
        _interval(less) if cell["policy"] != STAYS else NONE,
        *(number(cell.get(figure), 3) for figure in FIGURES),
        NONE if parameters is None else f"{parameters:,}",
        NONE if p50 is None else f"{p50:.0f} / {cell['p99_us']:.0f}",
    ]


def folds_table(cells: list[dict]) -> Table | None:
    """One row per policy, means over folds with their intervals; None without folds."""
    names = dict.fromkeys(cell["policy"] for cell in cells)
    folds = [cell for cell in cells if cell["split"] != HELD_OUT]
    rows = [[name, *_folds_row(folds, name)] for name in names]
    heads = ["policy, over folds", "NLL", f"NLL less {STAYS}'s", "episodes with less"]
    return Table([*heads, "off support", "fold by fold"], rows) if folds else None


def _folds_row(folds: list[dict], name: str) -> list[str]:
    nll, support, stays = (
        _over_folds(folds, one, figure)
        for one, figure in ((name, "nll"), (name, "off_support"), (STAYS, "nll"))
    )
    less, paired = None, None
    if name != STAYS:
        less = _less(nll, stays)
        paired = _less(_by_episode(folds, name), _by_episode(folds, STAYS))
    return [
        _interval(nll),
        _interval(less),
        NONE if paired is None else f"{np.sum(paired < 0)} of {len(paired)}",
        _interval(support),
        NONE if support is None else " ".join(f"{one:.3f}" for one in support),
    ]


def _by_episode(cells: list[dict], name: str | None = None) -> np.ndarray | None:
    """(E,) NLL of each episode, of the cells of one policy; None where there are none."""
    parts = [
        cell["nll_by_episode"]
        for cell in cells
        if name in (None, cell["policy"]) and "nll_by_episode" in cell
    ]
    return np.concatenate(parts) if parts else None


def _less(values: np.ndarray | None, others: np.ndarray | None) -> np.ndarray | None:
    return None if values is None or others is None else values - others


def _over_folds(cells: list[dict], name: str, figure: str) -> np.ndarray | None:
    """(folds,) of one policy; None where there are too few for an interval."""
    values = [cell[figure] for cell in cells if cell["policy"] == name]
    return np.array(values) if len(values) > 1 and None not in values else None


def _interval(values: np.ndarray | None) -> str:
    if values is None or len(values) < 2:
        return NONE
    mean, low, high = mean_interval(values)
    return f"{mean:.3f} [{low:.3f}, {high:.3f}]"
