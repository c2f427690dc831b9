"""Tables of plain text, to be written in whatever form is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

NONE = "–"


class Table(NamedTuple):
    """rows: lists of texts, one per column of `heads`, a line break before what matters less;
    kinds: of rows, where they differ in looks."""

    heads: list[str]
    rows: list[list[str]]
    kinds: Sequence[str] = ()


def to_markdown(table: Table) -> str:
    """To be pasted elsewhere."""
    rows = [[text.replace("\n", " ") for text in row] for row in table.rows]
    lines = [table.heads, ["---"] * len(table.heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(value: float | None, digits: int = 2) -> str:
    """Fixed digits; a dash for None."""
    return NONE if value is None else f"{round(value, digits) + 0.0:.{digits}f}"  # no -0.000
