"""The picture of what distilling costs."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

from vdd_ros.commands.page.charts import PALE, STONE, STUDENT, STYLE, legend, plain, png

COLOURS = {"vdd": STUDENT, "vdd-paper": STONE}
LABELS = {"seconds": "wall seconds", "teacher_calls": "teacher calls"}


def cost_picture(result: dict) -> bytes:
    """A PNG of a result of `vdd bench distill`: distance over each cost, side by side."""
    figure = Figure(figsize=(7.0, 3.2), layout="constrained")
    panels = figure.subplots(1, len(LABELS), sharey=True)
    for axes, (cost, label) in zip(panels, LABELS.items(), strict=True):
        _draw_panel(axes, result, cost)
        axes.set_xlabel(label, **STYLE)
    panels[0].set_ylabel("energy distance to the teacher", **STYLE)
    legend(panels[-1], columns=len(COLOURS))
    return png(figure)


def _draw_panel(axes: Axes, result: dict, cost: str) -> None:
    plain(axes)
    axes.set_yscale("log", nonpositive="mask")  # an unbiased distance may be below zero
    axes.axhline(result["energy_distance"], color=PALE, linewidth=1, linestyle="--")
    for name, checkpoints in result["methods"].items():
        spent = [checkpoint[cost] for checkpoint in checkpoints]
        distance = [checkpoint["energy_distance"] for checkpoint in checkpoints]
        axes.plot(spent, distance, color=COLOURS[name], label=name, marker=".", linewidth=1.2)
    if there := result["reached_at"]:
        axes.plot(
            there[cost], there["energy_distance"], "o", color=COLOURS["vdd"], markersize=9,
            fillstyle="none",
        )  # fmt: skip
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5, 7)))  # also within one decade
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter("{x:g}")
