"""Plots of a sweep over beds: samples over the true density, quality over calls and over cost."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter
from PIL import Image

from vdd_ros.commands.page.charts import EXPERTS, INK, PALE, STONE, STUDENT, STYLE, plain, png
from vdd_ros.commands.sweep.beds.table import by_kind, mean
from vdd_ros.commands.sweep.beds.unit import SAMPLES
from vdd_ros.policies.beds.look import density, true_chunks
from vdd_ros.policies.samplers import SAMPLERS

SIDE = 1.35  # [inch] of a picture of samples, 216 pixels
PATHS = 60  # chunks in a picture of them
SIZE = (7.0, 3.4)  # [inch] of other plots
MARKS = "osD^vP*X<>p"
PLAINEST = {"of": "exact", "name": "euler", "spacing": "rho", "sigma_last": 0.01}
ONE_STEP = ("heun", "dpm_2s", "dpmpp_2s", "genie")


def _is_usual(sampler: dict) -> bool:
    return all(sampler[key] == PLAINEST[key] for key in ("spacing", "sigma_last"))


KINDS: dict[str, Callable[[dict], bool]] = {
    "solvers of one step": lambda one: _is_usual(one) and one["name"] in ONE_STEP,
    "solvers that remember": lambda one: (
        _is_usual(one)
        and one["name"] not in (*ONE_STEP, PLAINEST["name"])
        and not SAMPLERS[one["name"]].is_stochastic
    ),
    "with noise on the way": lambda one: SAMPLERS[one["name"]].is_stochastic,
    "other levels": lambda one: not _is_usual(one),
}
COSTS = {
    "cpu_seconds": "seconds of one processor",
    "teacher_calls": "chunks denoised by the teacher",
}
NEAR = 1.3  # times as much: points whose labels would lie on one another
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
        methods, _, samplers = by_kind(own)
        if samplers:
            made[f"{bed}-calls.png"] = with_few_colours(png(calls(own)), 64)
        if methods:
            made[f"{bed}-cost.png"] = with_few_colours(png(cost(own)), 32)
    return made


def samples(bed: str, chunks: np.ndarray) -> bytes:
    """A small PNG of chunks (N, D), at observation 0, over what the exact teacher has there."""
    figure = Figure(figsize=(SIDE, SIDE))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    DRAWN[bed](axes, chunks)
    axes.set_axis_off()
    return with_few_colours(png(figure), 24)


def with_few_colours(image: bytes, count: int) -> bytes:
    """A PNG with a palette: a third of the bytes."""
    file = io.BytesIO()
    Image.open(io.BytesIO(image)).convert("RGB").quantize(count).save(file, "PNG", optimize=True)
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
    """SW2 over network calls of the exact teacher's samplers, kind by kind, and students beside."""
    methods, _, samplers = by_kind(cells)
    exact = [one for one in samplers if one["sampler"]["of"] == "exact"]
    figure = Figure(figsize=(SIZE[0], 6.4), layout="constrained")
    panels = figure.subplots(2, 2, sharey=True, sharex=True).flat
    for axes, (kind, is_of) in zip(panels, KINDS.items(), strict=True):
        plain(axes)
        own = [one for one in exact if one["sampler"] == PLAINEST or is_of(one["sampler"])]
        for number, (name, points) in enumerate(_lines(own).items()):
            look = {"color": EXPERTS[number % len(EXPERTS)], "marker": MARKS[number % len(MARKS)]}
            axes.plot(*zip(*points, strict=True), lw=0.9, ms=3, label=name, **look)
        students = _seeds(methods)
        nfe, sw2 = ([mean(c[key] for c in seeds) for seeds in students] for key in ("nfe", "sw2"))
        axes.plot(nfe, sw2, "+", ms=7, color=INK, label="students")
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_ylim(0.01, 1.0)  # what diverges leaves it
        axes.set_title(kind, loc="left", **STYLE)
        axes.xaxis.set_major_formatter("{x:g}")
        _plain_logarithm(axes.yaxis)
        axes.legend(frameon=False, fontsize=6.5, handlelength=1.2, borderaxespad=0.1)
    figure.supxlabel("network calls", **STYLE)
    figure.supylabel("sliced W2 to the truth", **STYLE)
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
        labelled: list[tuple[float, float]] = []
        for own in _seeds(methods):
            x = max(mean(one[key] for one in own) or 0.0, 1.0)
            y = max(mean(one["off"] for one in own) or 0.0, LEAST)
            colour = STUDENT if all(one["accepted"] for one in own) else STONE
            axes.plot(x, y, "o", ms=4, color=colour)
            below = -9 * sum(max(a / x, x / a, b / y, y / b) < NEAR for a, b in labelled)
            labelled.append((x, y))
            axes.annotate(
                own[0]["method"],
                (x, y),
                (3, 3 + below),
                textcoords="offset points",
                size=6.5,
                color=INK,
            )
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.margins(x=0.25)
        axes.set_xlabel(label, **STYLE)
        _plain_logarithm(axes.xaxis)
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        _plain_logarithm(axes.yaxis)
    panels[0].set_ylabel("share beside all modes", **STYLE)
    return figure


def _plain_logarithm(axis: Axis) -> None:
    """Numbers at 1, 2 and 5 of each decade."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())
    axis.set_tick_params(which="minor", color=PALE)
