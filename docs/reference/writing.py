"""Markdown that pages made of the code are written in."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def made_by(title: str, source: str) -> str:
    """The head of a page, which says what it is made of."""
    return f"# {title}\n\n<!-- Made of {source} by `make reference`; edit that instead. -->\n"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table; cells may hold anything but line ends."""
    lines = [list(head), ["---" for _ in head], *map(list, rows)]
    return "".join(f"| {' | '.join(cell(one) for one in line)} |\n" for line in lines)


def cell(text: str) -> str:
    """Text that does not end its cell, with pages that it names as links."""
    linked = re.sub(r"\bdocs/(\w+)\.md", r"[\1.md](../\1.md)", text)
    return " ".join(linked.split()).replace("|", "\\|")


def code(value: object) -> str:
    """As code, with nothing where there is nothing."""
    return f"`{value}`" if str(value) else ""
