"""Sight: what a foreign dataset holds, and a declaration in which the unseen is left open."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from vdd_ros.datasets.source import OPEN

HEAD = f"""\
# Fill in every {OPEN}. A unit is rad, deg, m, mm, fraction, percent, or a range that is told:
# {{span: [-100, 100], means: [-1.57, 1.57]}}. Numbers that are no joint's go under ignored."""


class Row(NamedTuple):
    """One key of a dataset. rows: of its rows or messages; low, high: of each of its numbers in
    what was looked at; rate_hz: None where nothing tells."""

    key: str
    kind: str
    shape: tuple[int, ...]
    rows: int | None = None
    rate_hz: float | None = None
    names: tuple[str, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


class Sight(NamedTuple):
    """told: what the dataset says of itself, clause by clause; declaration: YAML to fill in, empty
    where no reader takes it."""

    told: tuple[str, ...]
    rows: tuple[Row, ...]
    declaration: str


class Pair(NamedTuple):
    """Columns that may be one joint's, with what was seen of each, and the joint where the names
    say it."""

    state: str
    command: str
    seen: str


def declaration(
    layout: dict[str, Any],
    path: str,
    episodes: int,
    rate_hz: float | None,
    pairs: Sequence[Pair],
    joints: Sequence[str],
) -> str:
    """A source declaration; joints: of the contract, of which a column may have the name."""
    known = set(joints)
    channels = []
    for state, command, seen in pairs:
        joint = state if state in known else OPEN
        columns = f'state: {{name: {_text(state)}, unit: "{OPEN}"}}'
        if command != state:  # one of the same name and unit need not be told
            columns += f', command: {{name: {_text(command)}, unit: "{OPEN}"}}'
        channels.append(f"  - {{joint: {_text(joint)}, {columns}}}   # {seen}")
    rate = f'"{OPEN}"' if rate_hz is None else f"{rate_hz:g}"
    return "\n".join(
        [
            HEAD,
            "format_version: 1",
            f"format: {json.dumps(layout)}",
            f"path: {_text(path)}   # below the folder that VDD_DATA names",
            f"episodes: {episodes}",
            f'task: "{OPEN}"',
            f"rate_hz: {rate}",
            f'origin: {{url: "{OPEN}", version: "{OPEN}", licence: "{OPEN}"}}',
            "channels:",
            *channels,
            "",
        ]
    )


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)  # a JSON string is a YAML one


def between(low: float, high: float) -> str:
    """What was seen of a column."""
    return f"{low:.4g} to {high:.4g}"
