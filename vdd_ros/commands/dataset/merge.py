"""Make one folder of episodes of several, in their order; nothing is changed in a recording.

The last episodes of a folder are held out by `vdd train`: name the folder that these are from last,
and corrections (takeovers of a policy) before it.
"""

from __future__ import annotations

import os
import shutil
import string
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from tyro.conf import Positional

from vdd_ros.commands.progress import progress
from vdd_ros.durable import sync_folder, write_text
from vdd_ros.episode import EpisodeStore
from vdd_ros.errors import UserError
from vdd_ros.manifest import FILE_NAME, Manifest


@dataclass(frozen=True)
class Args:
    folders: Positional[tuple[Path, ...]]
    """Folders of episodes of one interface, 26 at most."""
    out: Path
    """Folder to make."""


def main(args: Args) -> dict:
    """Print how many came from where; raises UserError before anything is made."""
    stores = _stores(args)
    taken = [(letter, store, name) for letter, store in stores.items() for name in store.list()]
    _require_one_interface(stores)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix=".part-", dir=args.out.parent) as name,
        progress("merging") as report,
    ):
        part = Path(name) / args.out.name
        part.mkdir()
        for done, (letter, store, episode) in enumerate(taken, 1):
            _take(store, episode, part / f"{letter}_{episode}")
            report(done, len(taken))
        sync_folder(part)
        part.rename(args.out)
    sync_folder(args.out.parent)
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
    if args.out.exists():
        raise UserError(f"{args.out} is there already: name a folder to make")
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


def _take(store: EpisodeStore, name: str, target: Path) -> None:
    """Copy an episode that is as it was saved, or link to it where the file system can."""
    manifest = store.manifest(name)
    source = store.folder / name
    manifest.check_files(source)
    target.mkdir()
    for file in manifest.files:
        (target / file).parent.mkdir(exist_ok=True)
        try:
            os.link(source / file, target / file)
        except OSError:
            shutil.copy2(source / file, target / file)
    write_text(target / FILE_NAME, manifest.model_copy(update={"name": target.name}).to_json())
    for folder in {(target / file).parent for file in manifest.files}:
        sync_folder(folder)
