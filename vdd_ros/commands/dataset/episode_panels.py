"""Pictures of one episode: where its joints were and went, and when its messages came."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from vdd_ros.commands.page.charts import FAILED, INK, PALE, STUDENT, STYLE, plain, png
from vdd_ros.contract import Contract
from vdd_ros.episode import Episode, StreamData

COLUMNS = 4
COMMAND = "#e07b00"
LEAST_HEIGHT = 0.03  # of a joint's range: noise must not fill a panel as a movement does
SMOOTHED_S = 0.02  # a difference quotient over less than that is mostly noise


class Line(NamedTuple):
    """One stream in every panel. times_s: (N,); values: (N, Da); NaN where the stream was silent,
    so that nothing is drawn across."""

    colour: str
    times_s: np.ndarray
    values: np.ndarray


def positions(episode: Episode) -> bytes:
    """Small multiples, one per joint, on one time axis: measured and commanded."""
    lines = [
        _line(episode, name, colour, episode.streams[name].fields["position"])
        for name, colour in _told(episode)
    ]
    return _panels(episode.contract, lines, LEAST_HEIGHT * episode.contract.span)


def velocities(episode: Episode) -> bytes:
    """As `positions`: measured, where the robot tells it and otherwise by differences, and the
    speed at which commands go on."""
    lines = [
        _line(episode, name, colour, _velocity(episode.streams[name]))
        for name, colour in _told(episode)
    ]
    least = LEAST_HEIGHT * episode.contract.limit("velocity")
    return _panels(episode.contract, lines, least, per="/s")


def intervals(episode: Episode) -> bytes:
    """For every stream with messages, how long each came after the one before."""
    shown = {name: data for name, data in episode.streams.items() if len(data) > 1}
    begin_ns = episode.manifest.started_ns
    picture = Figure(figsize=(2.4 * COLUMNS, 0.95 * max(1, len(shown)) + 0.3), layout="constrained")
    rows = picture.subplots(max(1, len(shown)), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, data) in zip(rows, shown.items(), strict=False):
        stream = episode.contract.streams[name]
        since_ms = np.maximum(np.diff(data.received_ns) / 1e6, 1e-3)
        times_s = (data.received_ns[1:] - begin_ns) / 1e9
        late = since_ms > stream.max_age_s * 1e3
        axes.axhline(1e3 / stream.rate_hz, color=PALE, linewidth=0.8)
        axes.axhline(stream.max_age_s * 1e3, color=FAILED, linewidth=0.8, linestyle="--")
        axes.scatter(times_s[~late], since_ms[~late], s=1.5, color=STUDENT, linewidths=0)
        axes.scatter(times_s[late], since_ms[late], s=14, color=FAILED, linewidths=0)
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(ScalarFormatter())
        axes.set_xlim(0.0, max(episode.manifest.duration_s, 1e-3))
        _small(axes, f"{name} [ms]")
    picture.supxlabel("s", **STYLE)
    return png(picture)


def _told(episode: Episode) -> Iterator[tuple[str, str]]:
    """Streams that tell of joints and have messages, each with its colour."""
    for name, colour in (("joint_state", STUDENT), (episode.contract.action.stream, COMMAND)):
        if len(episode.streams[name]) > 1:
            yield name, colour


def _line(episode: Episode, name: str, colour: str, values: np.ndarray) -> Line:
    data = episode.streams[name]
    order = np.argsort(data.stamps_ns, kind="stable")
    times_s = (data.stamps_ns[order] - episode.manifest.started_ns) * 1e-9
    silent = np.flatnonzero(np.diff(times_s) > episode.contract.streams[name].max_age_s) + 1
    return Line(
        colour,
        np.insert(times_s, silent, np.nan),
        np.insert(values[order], silent, np.nan, axis=0),
    )


def _velocity(data: StreamData) -> np.ndarray:
    """(N, Da) [unit/s]"""
    told = data.fields.get("velocity")
    if told is not None and np.isfinite(told).any():
        return told
    position, times_s = data.fields["position"], data.stamps_ns * 1e-9
    apart = max(1, round(SMOOTHED_S / max(float(np.median(np.diff(times_s))), 1e-6)))
    index, last = np.arange(len(position)), len(position) - 1
    before, after = np.maximum(index - apart, 0), np.minimum(index + apart, last)
    with np.errstate(invalid="ignore", divide="ignore"):
        speed = (position[after] - position[before]) / (times_s[after] - times_s[before])[:, None]
    return np.where(np.isfinite(speed), speed, np.nan)


def _panels(contract: Contract, lines: Sequence[Line], least: np.ndarray, per: str = "") -> bytes:
    """least: (Da,) height of a panel."""
    rows = -(-contract.n_joints // COLUMNS)
    picture = Figure(figsize=(2.4 * COLUMNS, 0.95 * rows + 0.3), layout="constrained")
    panels = picture.subplots(rows, COLUMNS, sharex=True, squeeze=False)
    for index, (joint, axes) in enumerate(zip(contract.joints, panels.flat, strict=False)):
        for line in lines:
            axes.plot(line.times_s, line.values[:, index], color=line.colour, linewidth=0.8)
        _small(axes, f"{joint.name} [{joint.unit}{per}]")
        _heighten(axes, float(least[index]))
    for axes in panels.flat[contract.n_joints :]:
        axes.set_axis_off()
    picture.supxlabel("s", **STYLE)
    return png(picture)


def _heighten(axes: Axes, least: float) -> None:
    low, high = axes.get_ylim()
    missing = max(0.0, least - (high - low))
    axes.set_ylim(low - missing / 2, high + missing / 2)


def _small(axes: Axes, title: str) -> None:
    plain(axes)
    axes.tick_params(labelsize=6)
    axes.set_title(title, size=6.5, color=INK, pad=2)
