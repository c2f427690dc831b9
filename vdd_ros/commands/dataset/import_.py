"""Make episodes of demonstrations recorded elsewhere.

A source declaration (config/sources/) says which column is which joint, and in what unit; nothing
is guessed. Every recording is read and checked before the first episode is written; one fault ends
the import, and nothing is left half-written.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from tyro.conf import Positional

from vdd_ros.commands.progress import progress
from vdd_ros.contract import Contract
from vdd_ros.datasets.importing import Imported, check, read, write
from vdd_ros.datasets.source import Source
from vdd_ros.errors import UserError

DATA = "VDD_DATA"


@dataclass(frozen=True)
class Args:
    source: Positional[Path]
    """Declaration of the dataset, such as config/sources/g1_bottle.yaml."""
    out: Positional[Path]
    """Folder of episodes to make."""
    contract: Path
    """The robot's contract."""
    data: Path | None = None
    """The dataset itself; not given, it lies below the folder that the variable VDD_DATA names."""


def main(args: Args) -> dict:
    """Import and print what was found; raises UserError at the first fault."""
    source, contract = Source.from_yaml(args.source), Contract.from_yaml(args.contract)
    source.require_fits(contract)
    recordings = read(args.data or _below_data(source), source)
    checked = check(recordings, source, contract)
    with progress("writing episodes") as report:
        imported = write(checked, source, contract, args.out, report)
    _print(imported, args.out)
    return {"ok": True, "folder": args.out, "episodes": [one._asdict() for one in imported]}


def _below_data(source: Source) -> Path:
    if not os.environ.get(DATA):
        raise UserError(
            f"where is the dataset? set {DATA} to the folder that holds {source.path}, or name it "
            f"with --data"
        )
    return Path(os.environ[DATA]) / source.path


def _print(imported: list[Imported], folder: Path) -> None:
    table = Table("episode", "recording", "frames", "s", "verdict", "found")
    for one in imported:
        table.add_row(
            one.name,
            one.recording,
            str(one.frames),
            f"{one.seconds:.1f}",
            escape(one.verdict),
            escape("; ".join(one.findings)),
        )
    noted = sum(bool(one.findings) for one in imported)
    Console().print(
        table, f"{len(imported)} episodes in {folder}, {noted} with findings", highlight=False
    )
