"""The page of `vdd dataset show`: what was recorded, and how it looks to a policy."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vdd_ros.commands.dataset import episode_panels
from vdd_ros.commands.dataset.filmstrip import filmstrip
from vdd_ros.commands.demo.tables import to_html
from vdd_ros.commands.page.charts import (
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
from vdd_ros.commands.page.table import Table
from vdd_ros.episode import Episode
from vdd_ros.fitness import verdict_of
from vdd_ros.manifest import Verdict

if TYPE_CHECKING:
    from vdd_ros.policies.likelihood import EpisodeLikelihood

MEASURED = "measured (blue) and commanded (orange)"
VERDICTS = {"PASS": "#1a7f37", "WARN": "#9a6700", "FAIL": "#d1242f"}


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
        ("task", manifest.task),
        ("started", manifest.started),
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
    panels = [
        figure(episode_panels.positions(episode), "Joints", MEASURED),
        figure(
            episode_panels.velocities(episode),
            "Velocities",
            f"{MEASURED}; by differences where the robot does not tell them",
        ),
        figure(
            episode_panels.intervals(episode),
            "Intervals",
            "how long each message came after the one before; grey: as declared; dashed: the "
            "longest that a policy bears (max_age_s)",
        ),
    ]
    panels += [
        figure(filmstrip(episode.images(name), manifest.started_ns), name, f"{one.count} pictures")
        for name, one in manifest.cameras.items()
        if one.count
    ]
    return (
        f"<h2>{escape(episode.name)}</h2>{_verdict(verdict_of(episode))}{definitions(facts)}"
        f"<div class=scroll tabindex=0>{to_html(_streams(episode))}</div>"
        f"<div class=charts>{''.join(charts)}</div>"
        + "".join(f"<div class=panels>{panel}</div>" for panel in panels)
    )


def _verdict(verdict: Verdict) -> str:
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in verdict.reasons)
    colour = VERDICTS[verdict.level]
    return f"<p><b style='color:{colour}'>{verdict.level}</b></p><ul>{reasons}</ul>"


def _streams(episode: Episode) -> Table:
    """What came of every stream, beside what the contract declares."""
    heads = ["stream", "messages", "Hz", "of", "longest gap [ms]", "at most", "incomplete"]
    heads += ["lost", "missing"]
    rows = []
    for name, found in episode.manifest.streams.items():
        declared = episode.contract.streams[name]
        rows.append(
            [
                name,
                str(found.count),
                f"{found.rate_hz:.1f}",
                f"{declared.rate_hz:g}",
                f"{found.longest_gap_s * 1e3:.1f}",
                f"{declared.max_age_s * 1e3:g}",
                str(found.incomplete),
                str(found.lost),
                str(found.missing),
            ]
        )
    return Table(heads, rows, [""] * len(rows))


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    if isinstance(value, list):
        return "; ".join(map(str, value)) or "none"
    return str(value)


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
