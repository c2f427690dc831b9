"""Make one folder of episodes of several, in their order; nothing is changed in a recording.

The last episodes of a folder are held out by `vdd train`: name the folder that these are from last,
and corrections (takeovers of a policy) before it.
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from tyro.conf import Positional

from vdd_ros.commands.dataset.parts import new_folder, take
from vdd_ros.commands.progress import progress
from vdd_ros.episode import EpisodeStore
from vdd_ros.episode_log import append
from vdd_ros.errors import UserError
from vdd_ros.fitness import told_of_vanished
from vdd_ros.manifest import Manifest


@dataclass(frozen=True)
class Args:
    folders: Positional[tuple[Path, ...]]
    """Folders of episodes of one interface, 26 at most."""
    out: Path
    """Folder to make."""


def main(args: Args) -> dict:
    """Print how many came from where; raises UserError before anything is made."""
    stores = _stores(args)
    for store in stores.values():
        if told := told_of_vanished(store):
            print(told)
    taken = [(letter, store, name) for letter, store in stores.items() for name in store.list()]
    _require_one_interface(stores)
    with new_folder(args.out) as part, progress("merging") as report:
        lines = []
        for done, (letter, store, episode) in enumerate(taken, 1):
            lines.append(take(store, episode, part / f"{letter}_{episode}"))
            report(done, len(taken))
        append(part, lines)
    table = Table("named", "from", "episodes")
    counts = {letter: len(store.list()) for letter, store in stores.items()}
    for letter, store in stores.items():
        table.add_row(f"{letter}_...", str(store.folder), str(counts[letter]))
    Console().print(table, highlight=False)
    return {"ok": True, "out": args.out, "episodes": sum(counts.values()), "from": counts}


def _stores(args: Args) -> dict[str, EpisodeStore]:
    """Folders by the letter that their episodes' names begin with."""
    if not 0 < len(args.folders) <= len(string.ascii_lowercase):
        raise UserError(f"{len(args.folders)} folders are to be merged: name 1 to 26")
    return dict(zip(string.ascii_lowercase, map(EpisodeStore, args.folders), strict=False))


def _require_one_interface(stores: dict[str, EpisodeStore]) -> None:
    first: Manifest | None = None
    for store in stores.values():
        for name in store.list():
            manifest = store.manifest(name)
            first = first or manifest
            where = f"episode {store.folder / name}"
            first.contract.require_same_recording(manifest.contract, where)
    if first is None:
        raise UserError("there is no episode in these folders: record or import some first")
