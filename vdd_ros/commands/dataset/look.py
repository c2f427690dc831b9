"""Show what a foreign dataset holds, and begin a declaration of it for `vdd dataset import`.

Keys, shapes, ranges, names and rates are what is seen; which column is which joint, and in what
unit, nobody can see: the declaration leaves that open, as ???.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from tyro.conf import Positional

from vdd_ros.contract import Contract
from vdd_ros.datasets.look import look_at
from vdd_ros.datasets.sight import Row, Sight, between
from vdd_ros.errors import UserError


@dataclass(frozen=True)
class Args:
    path: Positional[Path]
    """A LeRobot folder, an HDF5 file, a rosbag2, or a folder of those."""
    contract: Path | None = None
    """A robot's contract, whose joints are filled in where columns have their names."""
    out: Path | None = None
    """File to write the declaration to; not given, it is printed."""


def main(args: Args) -> dict:
    """Print what is there; raises UserError where no reader knows it."""
    joints = Contract.from_yaml(args.contract).joint_names if args.contract else ()
    if args.out is not None and args.out.exists():
        raise UserError(f"{args.out} exists already; name a file that does not, or remove it")
    sight = look_at(args.path, joints)
    _print(sight)
    if args.out is not None and sight.declaration:
        args.out.write_text(sight.declaration, encoding="utf-8")
        print(f"declaration to fill in: {args.out}")
    elif sight.declaration:
        sys.stdout.write(f"\n{sight.declaration}")
    else:
        print("no declaration can be begun of it")
    return {
        "ok": True,
        "told": list(sight.told),
        "keys": [row._asdict() for row in sight.rows],
        "declaration": sight.declaration,
    }


def _print(sight: Sight) -> None:
    console = Console()
    for line in sight.told:
        console.print(escape(line), highlight=False)
    table = Table("key", "type", "shape", "rows", "Hz", "numbers")
    for row in sight.rows:
        table.add_row(
            escape(row.key),
            escape(row.kind),
            escape(str(list(row.shape))),
            "" if row.rows is None else str(row.rows),
            "" if row.rate_hz is None else f"{row.rate_hz:.1f}",
            escape(_numbers(row)),
        )
    console.print(table, highlight=False)


def _numbers(row: Row) -> str:
    ranges = [between(low, high) for low, high in zip(row.low, row.high, strict=True)]
    if not ranges:
        return ", ".join(row.names)
    places = [f"[{at}]" if len(ranges) > 1 else "" for at in range(len(ranges))]
    names = row.names if len(row.names) == len(ranges) else places
    return "\n".join(f"{name} {told}".strip() for name, told in zip(names, ranges, strict=True))
