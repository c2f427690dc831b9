"""Calibrate random setups whose truth is known, and say by how much each estimate is wrong.

Every row is a question with its errors, its bounds and whether they are kept. The arm is the
simulated Panda (its kinematics, joints and limits); what cameras see is computed, not rendered.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from vdd_ros.commands.bench import origin
from vdd_ros.commands.progress import progress
from vdd_ros.errors import UserError

# each a module beside this file: `measured(setups, seed, report)` gives the row
ROWS = ("joint_offsets", "hand_eye", "latency", "drift", "outliers")
FEWEST = 5


@dataclass(frozen=True)
class Args:
    setups: int = 200
    """Random setups of each kind."""
    rows: tuple[str, ...] = ROWS
    """Which questions."""
    seed: int = 0
    """Setup i is that of the generator (seed, i)."""


def main(args: Args) -> dict:
    """Print errors beside their bounds; not ok where one is beyond."""
    if args.setups < FEWEST:
        raise UserError(f"{args.setups} setups: write {FEWEST} or more")
    if unknown := sorted(set(args.rows) - set(ROWS)):
        raise UserError(f"no row {unknown[0]!r}: name one of {', '.join(ROWS)}")
    rows = []
    for name in args.rows:
        module = importlib.import_module(f"{__name__}.{name}")
        with progress(name) as report:
            rows.append({"row": name, **module.measured(args.setups, args.seed, report)})
    Console().print(_table(rows))
    return {
        "ok": all(row["ok"] for row in rows),
        "rows": rows,
        "ratios": {name: ratio for row in rows for name, ratio in row.get("ratios", {}).items()},
        **origin(args.seed),
    }


def _table(rows: list[dict]) -> Table:
    heads = ("error", "bound", "")
    columns = (Column(head, justify="right", no_wrap=True) for head in heads)
    table = Table("row", Column("what", overflow="fold"), *columns)
    for row in rows:
        for what, error in row["errors"].items():
            bound = row["bounds"][what]
            kept = "ok" if error <= bound else "beyond"
            table.add_row(row["row"], escape(what), f"{error:.3g}", f"{bound:.3g}", kept)
    return table
