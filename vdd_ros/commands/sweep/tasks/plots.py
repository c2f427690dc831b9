"""Plots that a sweep over tasks ends with: one dot per method and task, means over seeds.

Methods have the same colour in all of them. Two per teacher with students: how policies behave, and
how close they are to the teacher.
"""

from __future__ import annotations

from itertools import cycle
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from vdd_ros.commands.page.charts import EXPERTS, INK, PALE, STUDENT, plain, png
from vdd_ros.commands.sweep.tasks.claims import TEACHER, VDD
from vdd_ros.statistics import mean_interval

SIZE = (8.75, 5.0)  # [inch], 1400 pixels wide
COLOURS = {
    TEACHER: INK,
    "teacher-1": "#98a1aa",
    VDD: STUDENT,
    "nll": EXPERTS[1],
    "vdd-paper": EXPERTS[2],
    "em": EXPERTS[3],
    "imc": EXPERTS[4],
}
FURTHER = ("#0f8b8d", "#b5651d", "#c2185b", "#6b8e23", "#4b0082", "#c9a227", "#59636e")  # in turn
BEHAVIOUR = {"success": "success", "entropy": "entropy"}
FIDELITY = {"energy_distance": "energy distance", "off_support": "off-support mass"}
LEAST = {"energy_distance": 3e-4, "off_support": 5e-3}  # shown on an axis that has no zero
GROUP = 0.8  # width of a task's dots, of 1
FLOOR_WIDTH = 1.4  # [points]


class Dot(NamedTuple):
    """A mean over seeds with its 95 % interval, which one seed does not have."""

    mean: float
    low: float
    high: float


def plots(cells: list[dict]) -> dict[str, bytes]:
    """PNGs by name of the file, from cells alone; ablations are not in them."""
    core = [cell for cell in cells if not cell["ablation"]]
    made = {}
    for teacher in dict.fromkeys(cell["teacher"] for cell in core if cell["method"] == VDD):
        own = [cell for cell in core if cell["teacher"] == teacher]
        made[f"{teacher}_behaviour.png"] = png(behaviour(own))
        made[f"{teacher}_fidelity.png"] = png(fidelity(own))
    return made


def behaviour(cells: list[dict]) -> Figure:
    """Success and entropy of every method, the teacher's among them."""
    methods = list(dict.fromkeys(cell["method"] for cell in cells))
    figure, panels = _panels(cells, BEHAVIOUR)
    own = colours(methods)
    _legend(figure, [_dot(name, own[name]) for name in methods])
    for axes, name in zip(panels, BEHAVIOUR, strict=True):
        _draw(axes, cells, own, name)
        axes.set_ylim(-0.03, 1.03)
    return figure


def fidelity(cells: list[dict]) -> Figure:
    """Distance to the teacher and mass off its support, with what the teacher has of both: its
    floor, as a line."""
    methods = dict.fromkeys(cell["method"] for cell in cells)
    students = [name for name in methods if name != TEACHER]
    figure, panels = _panels(cells, FIDELITY)
    floor = Line2D([], [], color=COLOURS[TEACHER], lw=FLOOR_WIDTH, label="teacher's floor")
    own = colours(students)
    _legend(figure, [floor, *(_dot(name, own[name]) for name in students)])
    for axes, name in zip(panels, FIDELITY, strict=True):
        _draw(axes, cells, own, name)
        for place, dot in enumerate(dots(cells, TEACHER, name)):
            if dot is not None:
                ends = place - GROUP / 2, place + GROUP / 2
                axes.hlines(
                    max(dot.mean, LEAST[name]), *ends, color=COLOURS[TEACHER], lw=FLOOR_WIDTH
                )
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.8 * LEAST[name])
        axes.yaxis.set_major_formatter("{x:g}")
        axes.tick_params(which="minor", color=PALE)
    return figure


def colours(methods: list[str]) -> dict[str, str]:
    """Each method's own, and one after another for those that have none."""
    further = cycle(FURTHER)
    return {name: COLOURS.get(name) or next(further) for name in methods}


def dots(cells: list[dict], method: str, figure: str) -> list[Dot | None]:
    """For each task in the order of the cells; None where there is no figure."""
    made: list[Dot | None] = []
    for task in dict.fromkeys(cell["task"] for cell in cells):
        own = [one for one in cells if (one["task"], one["method"]) == (task, method)]
        values = np.array([one[figure] for one in own if one[figure] is not None])
        if len(values) > 1:
            made.append(Dot(*mean_interval(values)))
        else:
            made.append(Dot(*[float(values[0])] * 3) if len(values) else None)
    return made


def _panels(cells: list[dict], names: dict[str, str]) -> tuple[Figure, list[Axes]]:
    """One below the other, tasks side by side in both."""
    tasks = list(dict.fromkeys(cell["task"] for cell in cells))
    figure = Figure(figsize=SIZE, layout="constrained")
    panels = list(figure.subplots(len(names), sharex=True))
    for axes, name in zip(panels, names.values(), strict=True):
        plain(axes)
        axes.set_ylabel(name, color=INK, size=9)
        axes.grid(axis="y", color=PALE, lw=0.5, alpha=0.5)
        axes.set_axisbelow(True)
        for place in range(1, len(tasks)):
            axes.axvline(place - 0.5, color=PALE, lw=0.6, alpha=0.6)
        axes.set_xlim(-0.5, len(tasks) - 0.5)
        axes.set_xticks(range(len(tasks)), tasks)
        axes.tick_params(axis="x", length=0)
    return figure, panels


def _legend(figure: Figure, handles: list[Line2D]) -> None:
    """Above both panels, once."""
    figure.legend(
        handles=handles, loc="outside upper center", ncols=len(handles), frameon=False,
        fontsize=9, labelcolor=INK, handlelength=1.2, handletextpad=0.4, columnspacing=1.4,
    )  # fmt: skip


def _dot(method: str, colour: str) -> Line2D:
    return Line2D([], [], marker="o", ls="", ms=5, color=colour, label=method)


def _draw(axes: Axes, cells: list[dict], colours: dict[str, str], figure: str) -> None:
    """A method's dots, each beside those of the others; what lies below the axis points down.

    colours: of the methods, in their order.
    """
    least = LEAST.get(figure, -np.inf)
    for number, (method, colour) in enumerate(colours.items()):
        shift = GROUP * ((number + 0.5) / len(colours) - 0.5)
        for place, dot in enumerate(dots(cells, method, figure)):
            if dot is None:
                continue
            x, mean, low = place + shift, max(dot.mean, least), max(dot.low, least)
            marker = "o" if dot.mean >= least else "v"
            axes.vlines(x, low, max(dot.high, low), color=colour, lw=1.2)
            axes.plot(x, mean, marker, color=colour, ms=4.5, mec="white", mew=0.4)
