"""cells.jsonl: one JSON line for each cell of a sweep that is finished."""

from __future__ import annotations

import json
from pathlib import Path

from vdd_ros.durable import replace_text

FILE = "cells.jsonl"


def write_cells(out: Path, cells: list[dict]) -> None:
    """Replace the file, whole, so that a sweep that is broken off leaves what it finished."""
    lines = "".join(json.dumps(cell, allow_nan=False) + "\n" for cell in cells)
    replace_text(out / FILE, lines)
