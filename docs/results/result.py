"""What a committed result is: its file, its section on which page, and how it is taken over."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
PICTURES = ROOT / "docs" / "pictures"

OUTPUTS = re.compile(r" --(?:out|plot|logs|folder) \S*[/.]\S*")
FOLDERS = re.compile(r"(?<=\s)/\S*/(?=\S)")


def as_told(line: dict) -> dict:
    """It, with a command that does not say where on a machine something lay."""
    return line | {"command": FOLDERS.sub("", OUTPUTS.sub("", line["command"]))}


def no_pictures(lines: list[dict], folder: Path) -> dict[str, bytes]:
    """Of a result that nothing is drawn of."""
    return {}


class Result(NamedTuple):
    """One file of this folder: JSON, or one JSON a line (.jsonl)."""

    file: str
    page: str
    """That has the markers of its section, from the root."""
    section: Callable[[str], str]
    """Of the file's text."""
    is_it: Callable[[dict], bool]
    """Whether what a command printed is this one, by its first line."""
    tidied: Callable[[dict], dict] = as_told
    """A line as it is committed."""
    pictures: Callable[[list[dict], Path], dict[str, bytes]] = no_pictures
    """By name in docs/pictures, of the lines and the folder that they lay in."""

    def text(self, lines: list[dict]) -> str:
        """The file of these lines."""
        if self.file.endswith(".jsonl"):
            return "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines)
        (line,) = lines
        return json.dumps(line, indent=1, allow_nan=False) + "\n"


def lines_of(text: str) -> list[dict]:
    """One of each line."""
    return [json.loads(line) for line in text.splitlines()]


def read(path: Path) -> list[dict]:
    """Of what a command printed, however it is broken into lines."""
    text = path.read_text()
    return lines_of(text) if path.suffix == ".jsonl" else [json.loads(text)]
