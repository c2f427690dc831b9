"""The pictures of calibrated setups: hand-eye beside OpenCV's solvers, joint offsets beside what
cannot be beaten."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from vdd_ros.commands.page.charts import EXPERTS, INK, STONE, STUDENT, STYLE, legend, plain, png

UNITS = {"mm": "place, median error [mm]", "deg": "rotation, median error [deg]"}


def pictures(rows: list[dict]) -> dict[str, bytes]:
    """PNGs by name of the file, of the rows that have one."""
    drawn = {"hand_eye": hand_eye, "joint_offsets": joint_offsets}
    return {
        f"calibration_{row['row']}.png": png(drawn[row["row"]](row))
        for row in rows
        if row["row"] in drawn
    }


def hand_eye(row: dict) -> Figure:
    """Median error over the noise of corners, ours and each solver's."""
    figure = Figure(figsize=(7.0, 3.2), layout="constrained")
    noises = [level["noise_px"] for level in row["levels"]]
    panels = figure.subplots(1, len(UNITS))
    for axes, (unit, label) in zip(panels, UNITS.items(), strict=True):
        _log(axes, "noise of a corner [px]", label)
        for colour, solver in zip(EXPERTS[1:], row["levels"][0][f"opencv_{unit}"], strict=False):
            theirs = [level[f"opencv_{unit}"][solver] for level in row["levels"]]
            axes.plot(
                noises, theirs, color=colour, label=solver.capitalize(), marker=".", linewidth=1
            )
        ours = [level[f"median_{unit}"] for level in row["levels"]]
        axes.plot(noises, ours, color=STUDENT, label="vdd calibrate", marker="o", linewidth=2)
        axes.set_xticks(noises, [f"{noise:g}" for noise in noises])
        axes.minorticks_off()
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
    legend(panels[-1], columns=3)
    return figure


def joint_offsets(row: dict) -> Figure:
    """Root mean square error over the noise of encoders, beside the bound."""
    figure = Figure(figsize=(4.5, 3.2), layout="constrained")
    axes = figure.subplots()
    _log(axes, "noise of an encoder [rad]", "offset's error, rms [rad]")
    noises = [one["noise_rad"] for one in row["noises"]]
    bound = [one["cramer_rao_rad"] for one in row["noises"]]
    axes.plot(noises, bound, color=INK, label="Cramér-Rao", linewidth=1)
    axes.plot(noises, [2 * one for one in bound], color=STONE, label="twice", linestyle="--")
    rms = [one["rms_rad"] for one in row["noises"]]
    axes.plot(noises, rms, "o", color=STUDENT, label="estimated")
    legend(axes, columns=3)
    return figure


def _log(axes: Axes, x: str, y: str) -> None:
    plain(axes)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(x, **STYLE)
    axes.set_ylabel(y, **STYLE)
