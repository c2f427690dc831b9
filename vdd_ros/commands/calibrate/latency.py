"""Measure how late joints, grippers and cameras are, commanded to observed.

Any recording in which something moves tells; `ros2 launch vdd_ros calibrate.launch.py
kind:=latency contract:=FILE` moves in the way that tells most. Joints and grippers are behind their
commands, cameras behind the joints. Intervals are of 95 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from rich.console import Console
from rich.table import Column, Table
from tyro.conf import Positional, arg

from vdd_ros.calibration.latency import latencies_from, told_rows
from vdd_ros.commands.calibrate.made import keep, now


@dataclass(frozen=True)
class Args:
    data: Annotated[Positional[tuple[Path, ...]], arg(metavar="FOLDER")]
    """Folders of episodes, or episodes."""
    contract: Path | None = None
    """The robot's contract; that of the episodes if not given."""
    names: tuple[str, ...] = ()
    """Joints and cameras; all if not given."""
    into: Path | None = None
    """Folder of the robot's calibration files, to which a new one is added."""


def main(args: Args) -> dict:
    """Print a row for each; not ok where one that was asked for could not be measured, or none."""
    contract, found, failed = latencies_from(args.data, args.contract, args.names)
    rows = list(told_rows(found, failed))
    Console().print(table_of(rows), highlight=False)
    for why in failed.values():
        print(why)
    path = None
    if args.into and found:
        moment = now()
        sections = {one.name: one.section(moment, list(map(str, args.data))) for one in found}
        path = keep(args.into, contract, moment, latency=sections)
    return {"ok": bool(found) and not (args.names and failed), "rows": rows, "file": path}


def table_of(rows: Sequence[dict]) -> Table:
    """One line per joint and camera; no number is cut."""
    numbers = (Column(head, no_wrap=True, justify="right") for head in ("ms", "95 %", "explained"))
    table = Table(Column("", overflow="fold"), "behind", *numbers)
    for row in rows:
        if row["latency_ms"] is None:
            table.add_row(row["name"], "-", "-", "-", "-")
            continue
        table.add_row(
            row["name"],
            row["from"],
            f"{row['latency_ms']:.2f}",
            f"{row['low_ms']:.2f}..{row['high_ms']:.2f}",
            f"{row['explained']:.3f}",
        )
    return table
