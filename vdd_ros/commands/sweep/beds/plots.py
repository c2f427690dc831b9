"""Plots of a sweep over beds: samples over the true density, quality over calls and over cost."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from PIL import Image

from vdd_ros.commands.page.charts import EXPERTS, INK, PALE, STONE, STUDENT, STYLE, plain, png
from vdd_ros.commands.sweep.beds.table import by_kind, mean
from vdd_ros.commands.sweep.beds.unit import SAMPLES
from vdd_ros.policies.beds.look import density, true_chunks

SIDE = 1.35  # [inch] of a picture of samples, 216 pixels
COLOURS = 24  # of its palette: a third of the bytes
PATHS = 60  # chunks in a picture of them
SIZE = (7.0, 3.4)  # [inch] of other plots
MARKS = "osD^vP*X<>p"
COSTS = {
    "cpu_seconds": "seconds of one processor",
    "teacher_calls": "chunks denoised by the teacher",
}
LEAST = 1e-3  # share of samples beside all modes that an axis without zero shows
SHOWN = ("euler-4", "heun-18", "dpmpp_2m-late-4", "net-heun-18")  # samplers with a picture


def plots(cells: list[dict], out: Path) -> dict[str, bytes]:
    """PNGs by name of the file: of every method of the first seed that has samples in `out`, and
    two of each bed's figures."""
    made = {}
    for bed in dict.fromkeys(cell["testbed"] for cell in cells):
        own = [cell for cell in cells if cell["testbed"] == bed]
        for cell in {one["method"]: one for one in reversed(own)}.values():
            file = out / bed / str(cell["seed"]) / cell["method"] / SAMPLES
            if file.exists() and (not cell["sampler"] or cell["method"] in SHOWN):
                with np.load(file) as kept:
                    chunks = kept["chunks"].astype(np.float32)
                made[f"{bed}_{cell['method']}.png"] = samples(bed, chunks)
        made[f"{bed}-calls.png"] = png(calls(own))
        if by_kind(own)[0]:
            made[f"{bed}-cost.png"] = png(cost(own))
    return made


def samples(bed: str, chunks: np.ndarray) -> bytes:
    """A small PNG of chunks (N, D), at observation 0, over what the exact teacher has there."""
    figure = Figure(figsize=(SIDE, SIDE))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    DRAWN[bed](axes, chunks)
    axes.set_axis_off()
    image = Image.open(io.BytesIO(png(figure))).convert("RGB").quantize(COLOURS)
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


def _points(axes: Axes, chunks: np.ndarray) -> None:
    reach = 1.45
    shown = density("g6", reach, 128)
    axes.imshow(
        shown**0.4, extent=(-reach, reach, -reach, reach), origin="lower", cmap="Greys", vmax=1.6
    )
    axes.plot(chunks[:, 0], chunks[:, 1], ".", ms=1.6, color=STUDENT, alpha=0.7, mew=0)
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach))


def _paths(axes: Axes, chunks: np.ndarray) -> None:
    for some, colour, width in ((true_chunks("t2", PATHS), PALE, 0.8), (chunks, STUDENT, 0.35)):
        points = some[:PATHS].reshape(-1, some.shape[1] // 2, 2)
        axes.plot(points[..., 0].T, points[..., 1].T, color=colour, lw=width, alpha=0.7)
    axes.axvline(0.0, ymin=0.42, ymax=0.58, color=INK, lw=2)  # the obstacle
    axes.set(xlim=(-1.35, 1.35), ylim=(-1.35, 1.35))


DRAWN: dict[str, Callable[[Axes, np.ndarray], None]] = {"g6": _points, "t2": _paths}


def calls(cells: list[dict]) -> Figure:
    """SW2 over network calls: solvers of the exact teacher, spacings, and students beside both."""
    methods, _, samplers = by_kind(cells)
    exact = [one for one in samplers if one["sampler"]["of"] == "exact"]
    usual = [one for one in exact if one["sampler"]["spacing"] == "rho"]
    spaced = [one for one in exact if one["sampler"]["name"] == "euler"]
    figure = Figure(figsize=(SIZE[0], 4.6), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, some, title in zip(panels, (usual, spaced), ("solvers", "spacings"), strict=True):
        plain(axes)
        for number, (name, own) in enumerate(_lines(some).items()):
            axes.plot(
                *zip(*own, strict=True), "-" if number < len(EXPERTS) else ":", lw=0.9, ms=3,
                color=EXPERTS[number % len(EXPERTS)], marker=MARKS[number % len(MARKS)], label=name,
            )  # fmt: skip
        nfe, sw2 = (
            [mean(one[key] for one in own) for own in _seeds(methods)] for key in ("nfe", "sw2")
        )
        axes.plot(nfe, sw2, "+", ms=7, color=INK, label="students")
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xlabel(f"network calls, {title}", **STYLE)
        axes.xaxis.set_major_formatter("{x:g}")
        _plain_logarithm(axes)
        axes.legend(
            loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False, fontsize=6.5
        )
    panels[0].set_ylabel("sliced W2 to the truth", **STYLE)
    return figure


def _lines(cells: list[dict]) -> dict[str, list[tuple[float, float]]]:
    """Calls and SW2 by entry of the plan, in order of calls."""
    made: dict[str, list[tuple[float, float]]] = {}
    for one in cells:
        entry = one["method"].rpartition("-")[0]
        made.setdefault(entry, []).append((one["nfe"], one["sw2"]))
    return {name: sorted(points) for name, points in made.items()}


def _seeds(cells: list[dict]) -> list[list[dict]]:
    """The cells of each method."""
    names = dict.fromkeys(one["method"] for one in cells)
    return [[one for one in cells if one["method"] == name] for name in names]


def cost(cells: list[dict]) -> Figure:
    """Share beside all modes over what methods cost, means over seeds."""
    methods, _, _ = by_kind(cells)
    figure = Figure(figsize=SIZE, layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (key, label) in zip(panels, COSTS.items(), strict=True):
        plain(axes)
        for own in _seeds(methods):
            x = max(mean(one[key] for one in own) or 0.0, 1.0)
            y = max(mean(one["off"] for one in own) or 0.0, LEAST)
            colour = STUDENT if all(one["accepted"] for one in own) else STONE
            axes.plot(x, y, "o", ms=4, color=colour)
            axes.annotate(
                own[0]["method"], (x, y), (3, 3), textcoords="offset points", size=6.5, color=INK
            )
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.margins(x=0.25)
        axes.set_xlabel(label, **STYLE)
        _plain_logarithm(axes)
    panels[0].set_ylabel("share beside all modes", **STYLE)
    return figure


def _plain_logarithm(axes: Axes) -> None:
    """Numbers at 1, 2 and 5 of each decade."""
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(which="minor", color=PALE)
