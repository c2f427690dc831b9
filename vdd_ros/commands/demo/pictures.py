"""Pictures of a demo run: each a PNG drawn for the width of a phone, with no title of its own."""

from __future__ import annotations

import colorsys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from vdd_ros.commands.page.charts import (
    FAILED,
    INK,
    PALE,
    STONE,
    STUDENT,
    STYLE,
    chart,
    expert_colour,
    legend,
    plain,
    png,
)
from vdd_ros.sim.avoid_field import FIELD, N_WAYS, gaps

TEACHER = "#a3abb3"


class Rollouts(NamedTuple):
    """What one policy did; paths are cut from one array at `path_ends`.

    paths: (total, 2) of the rod [m]; path_ends: (n,) index after the last point of each;
    experts: (total,), -1 where there is none; ways: (n,), -1 for none; success: (n,) bool.
    """

    paths: np.ndarray
    path_ends: np.ndarray
    experts: np.ndarray
    ways: np.ndarray
    success: np.ndarray

    @classmethod
    def load(cls, path: Path) -> Rollouts:
        """Read an .npz with these arrays."""
        with np.load(path) as arrays:
            return cls(*(arrays[name] for name in cls._fields))

    def each(self) -> Iterator[tuple[np.ndarray, int, bool]]:
        """(path (T, 2), way, success) of every rollout."""
        paths = np.split(self.paths, self.path_ends[:-1])
        yield from zip(paths, self.ways.tolist(), self.success.tolist(), strict=True)

    def way_counts(self) -> np.ndarray:
        """(24,) successful rollouts by way."""
        taken = self.ways[self.success.astype(bool) & (self.ways >= 0)]
        return np.bincount(taken, minlength=N_WAYS)

    def expert_shares(self, n_experts: int) -> np.ndarray:
        """(K,) share of the ticks at which each expert was followed."""
        spoken = self.experts[self.experts >= 0]
        return np.bincount(spoken, minlength=n_experts) / max(1, len(spoken))


def way_colour(way: int) -> tuple[float, float, float]:
    """One hue per way; ways that differ in the first gap lie opposite each other."""
    return colorsys.hls_to_rgb(way / N_WAYS, 0.42 if way % 2 else 0.52, 0.72)


def routes(rollouts: Rollouts) -> bytes:
    """From above: successful routes coloured by way, failed ones grey, ending in a red cross."""
    figure, axes = _field()
    _draw_routes(axes, rollouts)
    return png(figure)


def routes_beside(rollouts: Mapping[str, Rollouts]) -> bytes:
    """`routes` of several policies side by side, each below what it is called."""
    figure = Figure(figsize=(3.0 * len(rollouts), 3.6), layout="constrained")
    columns = figure.subplots(1, len(rollouts), squeeze=False)[0]
    for axes, (told, one) in zip(columns, rollouts.items(), strict=True):
        draw_field(axes)
        _draw_routes(axes, one)
        axes.set_title(told, color=INK, fontsize=10)
    return png(figure)


def _draw_routes(axes: Axes, rollouts: Rollouts) -> None:
    for path, way, success in rollouts.each():
        if success and way >= 0:
            axes.plot(*path.T, color=way_colour(way), linewidth=0.8, alpha=0.75, zorder=2)
        else:
            axes.plot(*path.T, color=TEACHER, linewidth=0.8, alpha=0.75, zorder=3)
            axes.plot(*path[-1], "x", color=FAILED, markersize=5, markeredgewidth=1.4, zorder=6)


def expert_routes(rollouts: Rollouts) -> bytes:
    """From above: every route coloured by the expert that was followed there."""
    figure, axes = _field()
    for expert in np.unique(rollouts.experts[rollouts.experts >= 0]).tolist():
        # one line per expert, up to where another one takes over, broken between rollouts
        follows = rollouts.experts == expert
        follows[1:] |= follows[:-1].copy()
        line = np.where(follows[:, None], rollouts.paths, np.nan)
        line = np.insert(line, rollouts.path_ends[:-1], np.nan, axis=0)
        axes.plot(*line.T, color=expert_colour(expert), linewidth=0.8, alpha=0.8, zorder=2)
    return png(figure)


def way_histogram(teacher: Rollouts, student: Rollouts) -> bytes:
    """24 pairs of bars: how often the teacher and vdd reached the line by each way."""
    figure, axes = chart(4.6, 2.9)
    at = np.arange(N_WAYS)
    axes.bar(at - 0.2, teacher.way_counts(), 0.4, color=TEACHER, label="teacher")
    axes.bar(at + 0.2, student.way_counts(), 0.4, color=STUDENT, label="vdd")
    labels = ["-".join(str(gap + 1) for gap in gaps(way)) for way in range(N_WAYS)]
    axes.set_xticks(at, labels, rotation=90, fontsize=7)
    axes.set_xlim(-0.7, N_WAYS - 0.3)
    axes.set_xlabel("way (gap taken in row 1, 2, 3)", **STYLE)
    axes.set_ylabel("successful rollouts", **STYLE)
    legend(axes, columns=2)
    return png(figure)


def expert_histogram(rollouts: Mapping[str, Rollouts], n_experts: int) -> bytes:
    """A row of bars per student: share of the ticks at which each expert was followed."""
    figure = Figure(figsize=(4.6, 0.5 + 1.0 * len(rollouts)), layout="constrained")
    rows = figure.subplots(len(rollouts), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    at = np.arange(n_experts)
    for axes, (name, student) in zip(rows, rollouts.items(), strict=True):
        plain(axes)
        share = 100.0 * student.expert_shares(n_experts)
        axes.bar(at, share, 0.7, color=[expert_colour(expert) for expert in range(n_experts)])
        axes.axhline(100.0 / n_experts, color=PALE, linewidth=0.8, linestyle=":", zorder=0)
        axes.set_ylabel(name, **STYLE)
    rows[-1].set_xticks(at, [str(expert + 1) for expert in range(n_experts)])
    rows[-1].set_xlabel("expert (share of ticks in %; dotted: all alike)", **STYLE)
    return png(figure)


def interval_histogram(interval_ms: np.ndarray, period_ms: float) -> bytes:
    """Time between two commands as the subscriber saw it, counts on a logarithmic axis."""
    figure, axes = chart(4.6, 2.6)
    late_ms = 1.5 * period_ms
    reach = max(2.0 * period_ms, float(interval_ms.max()) * 1.02)
    axes.hist(interval_ms, bins=np.linspace(0.0, reach, 81).tolist(), color=STUDENT, log=True)
    axes.axvspan(late_ms, reach, color=FAILED, alpha=0.08, linewidth=0, label="missed tick")
    axes.axvline(period_ms, color=INK, linewidth=0.8, linestyle=":", label="period")
    axes.set_xlim(0.0, reach)
    axes.set_xlabel("time between two commands [ms]", **STYLE)
    axes.set_ylabel("commands", **STYLE)
    legend(axes, columns=2)
    return png(figure)


def _field() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(3.4, 3.9), layout="constrained")
    axes = figure.subplots()
    draw_field(axes)
    return figure, axes


def draw_field(axes: Axes) -> None:
    """The six cylinders, what the rod's axis must keep away from, and the finish line."""
    for centre in FIELD.cylinders():
        near = FIELD.cylinder_radius + FIELD.rod_radius
        axes.add_patch(Circle(centre, near, color=PALE, alpha=0.45, linewidth=0, zorder=4))
        axes.add_patch(Circle(centre, FIELD.cylinder_radius, color=STONE, linewidth=0, zorder=5))
    axes.axhline(FIELD.finish_y, color=INK, linewidth=1.2, linestyle=(0, (5, 3)), zorder=1)
    start = (FIELD.centre_x, FIELD.start_y)
    axes.plot(*start, "o", color=INK, markersize=4, zorder=6)
    axes.annotate("start", start, (7, -3), textcoords="offset points", **STYLE)
    left = FIELD.centre_x - 0.25
    axes.annotate("finish", (left, FIELD.finish_y), (2, 3), textcoords="offset points", **STYLE)
    axes.set_xlim(left, FIELD.centre_x + 0.25)
    axes.set_ylim(FIELD.start_y - 0.03, FIELD.finish_y + 0.06)
    axes.set_aspect("equal")
    axes.set_axis_off()
