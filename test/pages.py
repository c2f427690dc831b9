"""Pages that people read: the README and docs/, their links, anchors and commands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    *sorted(path for path in ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
FENCE = re.compile(r"^(```+)([^\n`]*)\n(.*?)^\1\s*$", re.MULTILINE | re.DOTALL)
SHELL = {"", "bash", "console", "sh"}
LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)\)")


class Block(NamedTuple):
    """A fenced block: the language that it names, and its lines."""

    page: Path
    language: str
    text: str


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose_of(page: Path) -> str:
    """Without fenced blocks."""
    return FENCE.sub("", text_of(page))


def blocks_of(page: Path) -> list[Block]:
    found = FENCE.findall(text_of(page))
    return [Block(page, language.strip(), text) for _, language, text in found]


def links_of(page: Path) -> Iterator[str]:
    """Targets of links and pictures, but for addresses in the web."""
    prose = re.sub(r"`[^`\n]*`", "", prose_of(page))
    for target in LINK.findall(prose):
        if not re.match(r"[a-z]+:", target):
            yield target


def anchors_of(page: Path) -> set[str]:
    """Of headings, as GitHub makes them and the site does."""
    found: dict[str, int] = {}
    anchors = set()
    for title in re.findall(r"^#{1,6} (.*)$", prose_of(page), re.MULTILINE):
        said = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).replace("`", "").strip().lower()
        name = re.sub(r"[^\w\- ]", "", said).replace(" ", "-")
        count = found[name] = found.get(name, -1) + 1
        anchors.add(f"{name}-{count}" if count else name)
    return anchors
