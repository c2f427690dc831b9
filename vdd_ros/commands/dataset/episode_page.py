"""The page of `vdd dataset show`: what was recorded, and how it looks to a policy."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vdd_ros.commands.dataset.filmstrip import filmstrip
from vdd_ros.commands.page.charts import (
    INK,
    PALE,
    STUDENT,
    STYLE,
    chart,
    expert_colour,
    legend,
    plain,
    png,
)
from vdd_ros.commands.page.html import definitions, document, figure
from vdd_ros.episode import Episode

if TYPE_CHECKING:
    from vdd_ros.policies.likelihood import EpisodeLikelihood

COLUMNS = 4
COMMAND = "#e07b00"
LEAST_HEIGHT = 0.03  # of a joint's range: noise must not fill a panel as a movement does


def write(
    episodes: list[Episode], likelihoods: Mapping[str, EpisodeLikelihood], policy: str | None
) -> str:
    """The whole page; likelihoods: by name of the episode, empty without a policy."""
    parts = [_opening(episodes, policy)]
    if len(likelihoods) > 1:
        picture = _overview(likelihoods)
        text = "NLL of what people did next, one line per episode. Lower is likelier."
        parts.append(f"<div class=charts>{figure(picture, 'Under the policy', text)}</div>")
    for episode in episodes:
        parts.append(_section(episode, likelihoods.get(episode.name), likelihoods))
    return document(f"{len(episodes)} episodes", parts)


def _opening(episodes: list[Episode], policy: str | None) -> str:
    seconds = sum(episode.manifest.duration_s for episode in episodes)
    task = escape(episodes[0].manifest.task)
    judged = "" if policy is None else f" Likelihoods are those of the policy {escape(policy)}."
    count = f"{len(episodes)} episode{'s' * (len(episodes) > 1)}"
    return f"<h1>{task}</h1><p>{count}, {seconds:.0f} s.{judged}</p>"


def _section(
    episode: Episode,
    likelihood: EpisodeLikelihood | None,
    others: Mapping[str, EpisodeLikelihood],
) -> str:
    manifest = episode.manifest
    meta = {key: value for key, value in manifest.meta.items() if key not in ("scene",)}
    facts = [
        ("verdict", str(manifest.verdict)),
        ("seconds", f"{manifest.duration_s:.2f}"),
        *manifest.provenance.told.items(),
        *((key, _text(value)) for key, value in meta.items()),
    ]
    charts = []
    if likelihood is not None:
        charts.append(
            figure(
                _nll(likelihood, others),
                "Likelihood over time",
                f"mean {likelihood.nll.mean():.2f} nats per dimension; "
                + "grey: the other episodes; " * (len(others) > 1)
                + "towards the end fewer and fewer steps are left to be judged",
            )
        )
        charts.append(
            figure(
                _experts(likelihood),
                "Who speaks when",
                "above: how likely each expert was to be chosen; below: which one the movement "
                "that followed belongs to",
            )
        )
    joints = figure(_joints(episode), "Joints", "measured (blue) and commanded (orange)")
    strips = "".join(
        figure(filmstrip(episode.images(name), manifest.started_ns), name, f"{one.count} pictures")
        for name, one in manifest.cameras.items()
        if one.count
    )
    return (
        f"<h2>{escape(episode.name)}</h2>{definitions(facts)}"
        f"<div class=charts>{''.join(charts)}</div><div class=panels>{joints}{strips}</div>"
    )


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    if isinstance(value, list):
        return "; ".join(map(str, value)) or "none"
    return str(value)


def _joints(episode: Episode) -> bytes:
    """Small multiples, one per joint, on one time axis."""
    contract = episode.contract
    state, command = (episode.streams[name] for name in ("joint_state", contract.action.stream))
    rows = -(-contract.n_joints // COLUMNS)
    picture = Figure(figsize=(2.4 * COLUMNS, 0.95 * rows + 0.3), layout="constrained")
    panels = picture.subplots(rows, COLUMNS, sharex=True, squeeze=False)
    begin_ns = min(int(stream.stamps_ns[0]) for stream in (state, command))
    for joint, axes in zip(contract.joints, panels.flat, strict=False):
        index = contract.joint_names.index(joint.name)
        for stream, colour in ((state, STUDENT), (command, COMMAND)):
            times_s = (stream.stamps_ns - begin_ns) / 1e9
            axes.plot(times_s, stream.fields["position"][:, index], color=colour, linewidth=0.8)
        plain(axes)
        axes.tick_params(labelsize=6)
        low, high = axes.get_ylim()
        missing = max(0.0, LEAST_HEIGHT * (joint.upper - joint.lower) - (high - low))
        axes.set_ylim(low - missing / 2, high + missing / 2)
        axes.set_title(f"{joint.name} [{joint.unit}]", size=6.5, color=INK, pad=2)
    for axes in panels.flat[contract.n_joints :]:
        axes.set_axis_off()
    picture.supxlabel("s", **STYLE)
    return png(picture)


def _overview(likelihoods: Mapping[str, EpisodeLikelihood]) -> bytes:
    picture, axes = chart(4.6, 2.9)
    for number, (name, one) in enumerate(likelihoods.items()):
        axes.plot(one.times_s, one.nll, color=expert_colour(number), linewidth=0.8, label=name)
    _label_nll(axes)
    if len(likelihoods) <= 10:
        legend(axes, columns=3)
    return png(picture)


def _nll(one: EpisodeLikelihood, others: Mapping[str, EpisodeLikelihood]) -> bytes:
    picture, axes = chart(4.6, 2.4)
    for other in others.values():
        axes.plot(other.times_s, other.nll, color=PALE, linewidth=0.6)
    axes.plot(one.times_s, one.nll, color=STUDENT, linewidth=1.1)
    _label_nll(axes)
    return png(picture)


def _label_nll(axes: Axes) -> None:
    axes.set_xlabel("s", **STYLE)
    axes.set_ylabel("NLL [nats per dimension]", **STYLE)


def _experts(one: EpisodeLikelihood) -> bytes:
    """Two bands of shares over time, a colour per expert."""
    picture = Figure(figsize=(4.6, 2.6), layout="constrained")
    bands = picture.subplots(2, 1, sharex=True)
    names = ("chosen", "belongs to")
    for axes, shares, name in zip(bands, (one.gating, one.responsibility), names, strict=True):
        experts = range(shares.shape[1])
        colours = [expert_colour(expert) for expert in experts]
        labels = [str(expert + 1) for expert in experts]
        axes.stackplot(one.times_s, shares.T, colors=colours, labels=labels, linewidth=0)
        plain(axes)
        axes.set_ylim(0.0, 1.0)
        axes.set_xlim(0.0, float(one.times_s[-1]) if np.ptp(one.times_s) else 1.0)
        axes.set_ylabel(name, **STYLE)
    bands[0].legend(
        loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=shares.shape[1], frameon=False,
        fontsize=8, handlelength=0.9, handletextpad=0.4, columnspacing=1.0,
    )  # fmt: skip
    bands[-1].set_xlabel("s", **STYLE)
    return png(picture)
