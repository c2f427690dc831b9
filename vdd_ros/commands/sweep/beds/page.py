"""The section of a page about a sweep over beds: tables, pictures, what is still missing."""

from __future__ import annotations

from collections.abc import Collection

from vdd_ros.commands.page.table import Table, to_markdown
from vdd_ros.commands.sweep.beds.cells import count_cells
from vdd_ros.commands.sweep.beds.facts import places
from vdd_ros.commands.sweep.beds.plan import BedsPlan
from vdd_ros.commands.sweep.beds.table import by_kind, tables
from vdd_ros.commands.sweep.cells import origin

ROW = 5  # pictures side by side
PLOTS = {
    "calls": "Sliced W2 over network calls: solvers of the exact teacher, spacings, and students",
    "cost": "Share beside all modes over what a method costs; blue: accepted with every seed",
}


def section(plan: BedsPlan, cells: list[dict], folder: str, pictures: Collection[str]) -> str:
    """Markdown; folder: of pictures, from the page; pictures: names of those that are there."""
    seeds = len({cell["seed"] for cell in by_kind(cells)[0]})
    wanted = count_cells(plan)
    told = f"{origin(cells)}: {len(cells)} cells of {wanted}, up to {_counted(seeds)} of a method"
    parts = [f"{told}; figures are means over seeds."]
    if lacking := left_out(plan, cells):
        parts.append(f"**Not measured yet, and in no figure:** {lacking}.")
    for bed in dict.fromkeys(cell["testbed"] for cell in cells):
        own = [cell for cell in cells if cell["testbed"] == bed]
        parts.append(f"### {bed.upper()}")
        parts += map(to_markdown, tables(own))
        names = [cell["method"] for cell in own if f"{bed}_{cell['method']}.png" in pictures]
        if names:
            parts.append(_gallery(folder, bed, list(dict.fromkeys(names))))
        parts += [
            f"![{told}]({folder}/{bed}-{plot}.png)"
            for plot, told in PLOTS.items()
            if f"{bed}-{plot}.png" in pictures
        ]
    return "\n\n".join(parts) + "\n"


def left_out(plan: BedsPlan, cells: list[dict]) -> str:
    """What of a plan no cell is of: per bed and seed everything, or all or some of its samplers and
    methods by name."""
    done = {(cell["testbed"], cell["seed"], cell["method"]) for cell in cells}
    told = []
    for place in places(plan):
        samplers, methods = list(plan.samplers_on(*place)), plan.methods_on(place.bed)
        lacking = [name for name in samplers + methods if (*place, name) not in done]
        which = ", ".join(lacking)
        if len(lacking) == len(samplers) + len(methods):
            which = "everything"
        elif samplers and set(samplers) <= set(lacking):
            which = ", ".join(["all samplers", *(name for name in lacking if name in methods)])
        if lacking:
            told.append(f"{place.bed} with seed {place.seed}: {which}")
    return "; ".join(told)


def _gallery(folder: str, bed: str, names: list[str]) -> str:
    """A picture of each, with its name below."""
    rows: list[list[str]] = []
    for start in range(0, len(names), ROW):
        some = names[start : start + ROW]
        blank = [""] * (ROW - len(some))
        rows.append([f"![{one}]({folder}/{bed}_{one}.png)" for one in some] + blank)
        rows.append([*some, *blank])
    return to_markdown(Table(rows[0], rows[1:]))


def _counted(seeds: int) -> str:
    return "1 seed" if seeds == 1 else f"{seeds} seeds"
