"""Sections for bundles: what damage is refused, how long a call takes."""

from __future__ import annotations

import json
import re

from docs.results.result import Result
from vdd_ros.commands.page.table import Table, to_markdown

NOT_MEASURED = "not measured"


def of_bundle_damage(text: str) -> str:
    """The sentence and the table for damaged bundles."""
    result = json.loads(text)
    rows = [
        [row["family"], row["told"], row["refused_by"], bundle_reason(row["reason"])]
        for row in result["rows"]
    ]
    heads = ["where", "done to it", "refused by", "because"]
    told = (
        f"`{result['command']}`: {result['refused']} of {result['kinds']} kinds are refused by the "
        "check that has to, and nothing in them was executed."
    )
    return f"{told}\n\n{to_markdown(Table(heads, rows))}\n"


def bundle_reason(reason: str) -> str:
    """Without what to do about it, and no longer than a line of a table."""
    told = re.split(r": (?:copy|export|remove|sign|have|use|do not|correct|train|add)", reason)[0]
    return told if len(told) < 160 else f"{told[:157]}..."


def of_bench_latency(text: str) -> str:
    """Goals, every way to a chunk, and the node's memory."""
    result = json.loads(text)
    parameters = result["parameters"]
    head = (
        f"`{result['command']}`, {result['hardware']}, one pinned core, "
        f"{result['cpu_share']:.0%} of the wall time was processor time. Student "
        f"{parameters['student']:,} parameters, teacher {parameters['teacher']:,} (ratio "
        f"{parameters['ratio']:.2f}); the student's call reads {result['floor']['weights']:,} of "
        "them, counted as they are folded."
    )
    goals = [
        [
            f"`{name}`",
            NOT_MEASURED if goal["value"] is None else f"{goal['value']:.2f}",
            next(f"{side} {goal[side]:g}" for side in ("at least", "at most") if side in goal),
            {True: "reached", False: "missed", None: NOT_MEASURED}[goal["reached"]],
        ]
        for name, goal in result["goals"].items()
    ]
    times = ("p50_us", "p99_us", "p999_us")
    ways = [
        [row["policy"], row["form"], *(f"{row[time]:.1f}" for time in times), str(row["calls"])]
        for row in result["rows"]
    ]
    memory = [
        [row["runtime"], *(f"{row[f'{name}_mb']:.0f}" for name in ("pss", "rss", "own"))]
        for row in result["memory"]
    ]
    parts = [
        head,
        to_markdown(Table(["figure", "measured", "goal", ""], goals)),
        to_markdown(Table(["policy", "form", "p50 [us]", "p99", "p99.9", "calls"], ways)),
        "Memory of the action node while it drives over ROS at 100 Hz [MB]:",
        to_markdown(Table(["runtime", "PSS", "resident", "its own"], memory)),
    ]
    return "\n\n".join(parts) + "\n"


RESULTS = (
    Result(
        "bench_bundle.json",
        "docs/deployment.md",
        of_bundle_damage,
        lambda line: "undamaged_passes" in line,
    ),
    Result(
        "bench_latency.json",
        "docs/runtime.md",
        of_bench_latency,
        lambda line: "pss_mb" in line,
    ),
)
