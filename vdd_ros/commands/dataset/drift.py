"""Find joints whose offset from what they are told changes over a folder: jumps and slow drift.

The offset is where a joint is minus where it is told to be, by the robot's commands and by a
leader, while both rest; the median of each episode counts. Joints of unit `fraction` are left out:
a hand stops at what it holds. Bounds are shares of a joint's range in the contract's `recording`:
`offset_jump` and `offset_drift`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table
from tyro.conf import Positional

from vdd_ros.calibration.leader_drift import FEWEST, drift_of, rest_offset
from vdd_ros.episode import EpisodeStore


@dataclass(frozen=True)
class Args:
    folder: Positional[Path]
    """The folder that the episodes were saved in."""


def main(args: Args) -> dict:
    """Print a line for each joint; not ok where one is beyond a bound, or none could be judged."""
    store = EpisodeStore(args.folder)
    offsets = [rest_offset(store.load(name)) for name in store.list()]
    found = drift_of(offsets)
    for stream in dict.fromkeys(row["stream"] for row in found.rows):
        rows = [row for row in found.rows if row["stream"] == stream]
        title = f"told by {stream}, {len(offsets)} episodes of {args.folder}"
        Console().print(_table(title, rows), highlight=False)
    for sentence in found.sentences:
        print(sentence)
    if not found.rows:
        print(f"no joint rests in {FEWEST} episodes or more: nothing can be said")
    return {"ok": bool(found.rows) and not found.sentences, **found.to_dict()}


def _table(title: str, rows: list[dict]) -> Table:
    """Names of joints are as wide as there is room and go on below; no number is cut."""
    heads = ("n", "offset", "jump", "at most", "drift", "at most", "")
    numbers = (Column(head, no_wrap=True) for head in heads)
    table = Table(Column("joint", overflow="fold"), *numbers, title=title)
    keys = ("offset", "jump", "jump_bound", "drift", "drift_bound")
    for row in rows:
        amounts = (f"{row[key]:.4f}" for key in keys)
        table.add_row(row["joint"], str(row["episodes"]), *amounts, row["verdict"])
    return table
