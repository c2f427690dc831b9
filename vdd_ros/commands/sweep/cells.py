"""What a sweep leaves for others: a JSON line for each finished cell, and tables of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from vdd_ros.commands.page.table import Table, to_markdown
from vdd_ros.durable import replace_text
from vdd_ros.errors import UserError


def write_cells(out: Path, cells: list[dict]) -> None:
    """Replace cells.jsonl, whole, so that a sweep that is broken off leaves what it finished."""
    lines = "".join(json.dumps(cell, allow_nan=False) + "\n" for cell in cells)
    replace_text(out / "cells.jsonl", lines)


def read_cells(path: Path) -> list[dict]:
    """As `write_cells` left them; raises UserError for anything else."""
    try:
        cells = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read ({error}): name the cells.jsonl of a sweep"
        ) from None
    if not all(isinstance(cell, dict) and "choices" in cell for cell in cells):
        raise UserError(f"{path} holds lines that are no cells: name the cells.jsonl of a sweep")
    return cells


def page(cells: list[dict], tables: Sequence[Table]) -> str:
    """All tables as markdown, with what made them."""
    if not cells:
        return "No cell is finished yet.\n"
    head = f"# {cells[0]['benchmark']}\n\n{origin(cells)}, {len(cells)} cells."
    return "\n\n".join([head, *map(to_markdown, tables)]) + "\n"


def origin(cells: list[dict]) -> str:
    """The command, and the machines that figures were measured on."""
    machines = dict.fromkeys(cell["hardware"] for cell in cells)
    return f"`{cells[0]['command']}`, {', '.join(machines)}"
