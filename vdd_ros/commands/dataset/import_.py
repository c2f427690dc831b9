"""Make episodes of demonstrations recorded elsewhere.

A source declaration (config/sources/) says which column is which joint, and in what unit; nothing
is guessed. A folder that `vdd dataset export` made says so itself, and of bags that were recorded
with a contract's own topics the contract does. Every recording is read and
checked before the first episode is written; one fault ends the import, and nothing is left
half-written.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from tyro.conf import Positional

from vdd_ros.commands.progress import progress
from vdd_ros.contract import Contract
from vdd_ros.datasets.bags import STORAGE, is_bags
from vdd_ros.datasets.contract_bags import source_of_bags
from vdd_ros.datasets.description import FILE_NAME, Description, EpisodeFacts
from vdd_ros.datasets.importing import Imported, check, read, write
from vdd_ros.datasets.source import Source
from vdd_ros.errors import UserError

DATA = "VDD_DATA"


@dataclass(frozen=True)
class Args:
    source: Positional[Path]
    """Declaration of the dataset, as config/sources/g1_bottle.yaml; an exported folder; or bags
    with the contract's topics."""
    out: Positional[Path]
    """Folder of episodes to make."""
    contract: Path | None = None
    """The robot's contract; not given, that which an exported folder carries."""
    data: Path | None = None
    """The dataset itself; not given, it lies below the folder that the variable VDD_DATA names."""
    task: str = ""
    """Of bags with the contract's topics: what people were asked to do."""
    licence: str = ""
    """Of bags with the contract's topics: what others may do with them, such as CC-BY-4.0."""


class Declared(NamedTuple):
    """What is to be imported; facts: of an exported folder, by recording."""

    source: Source
    contract: Contract
    data: Path
    facts: dict[str, EpisodeFacts] | None


def main(args: Args) -> dict:
    """Import and print what was found; raises UserError at the first fault."""
    source, contract, data, facts = _declared(args)
    source.require_fits(contract)
    recordings = read(data, source)
    checked = check(recordings, source, contract, is_own=facts is not None)
    with progress("writing episodes") as report:
        imported = write(checked, source, contract, args.out, report, facts)
    _print(imported, args.out)
    not_read = list(dict.fromkeys(name for one in imported for name in one.not_read))
    if not_read:
        print(f"not read: {', '.join(not_read)}")
    episodes = [one._asdict() for one in imported]
    return {"ok": True, "folder": args.out, "episodes": episodes, "not_read": not_read}


def _declared(args: Args) -> Declared:
    if (args.source / FILE_NAME).exists():
        return _exported(args)
    is_data = args.source.is_dir() or args.source.suffix in STORAGE
    if is_data and (args.contract is None or not is_bags(args.source)):
        raise UserError(
            f"{args.source} has no {FILE_NAME}, so nothing says what its numbers are: name a "
            f"declaration (`vdd dataset look {args.source}` begins one), or, of bags with a "
            f"contract's own topics, --contract"
        )
    if args.contract is None:
        raise UserError("whose joints are these? name the robot's contract with --contract")
    contract = Contract.from_yaml(args.contract)
    if is_data:
        if not args.task:
            raise UserError("what were people asked to do? say it with --task")
        source = source_of_bags(args.source, contract, args.task, args.licence)
        return Declared(source, contract, args.source, None)
    source = Source.from_yaml(args.source)
    return Declared(source, contract, args.data or _below_data(source), None)


def _exported(args: Args) -> Declared:
    description = Description.read(args.source)
    contract = description.reading_contract
    if args.contract is not None:
        contract = Contract.from_yaml(args.contract)
        contract.require_same_recording(description.contract, str(args.source))
    facts = {one.recording: one for one in description.episodes}
    source = description.source.seen_by(contract)
    return Declared(source, contract, args.data or args.source, facts)


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
