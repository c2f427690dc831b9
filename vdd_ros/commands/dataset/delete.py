"""Delete episodes: into the folder's own bin, from where --restore takes them back, or for good.

What is meant is listed, and asked for once more unless --yes is given. An episode is where it was
or in the bin, never in between; with --purge it goes through the bin as well.
"""

from __future__ import annotations

import re
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import OmitArgPrefixes, Positional

from vdd_ros.commands.dataset.chosen import Condition, meeting, named
from vdd_ros.durable import make_folder, sync_folder
from vdd_ros.episode import EpisodeStore
from vdd_ros.episode_log import DELETED, Event, Line, append, manifest_hash
from vdd_ros.errors import UserError


@dataclass(frozen=True)
class Args:
    folder: Positional[Path]
    """The folder that the episodes were saved in."""
    names: Positional[tuple[str, ...]] = ()
    """The episodes; together with a condition, those of them that it holds for."""
    condition: Annotated[Condition, OmitArgPrefixes] = field(default_factory=Condition)
    purge: bool = False
    """Remove them for good; without a name or condition, all that are in the bin."""
    restore: bool = False
    """Take the named ones back from the bin."""
    yes: bool = False
    """Do not ask."""


def main(args: Args) -> dict:
    """Say what goes and move it; raises UserError where nothing is meant or nobody can say yes."""
    store = EpisodeStore(args.folder)
    if args.restore:
        return _restored(args, store)
    empties_bin = args.purge and not args.names and not args.condition.is_given
    names = () if empties_bin else _chosen(args, store)
    if not names and not empties_bin:
        raise UserError(
            "no episode is named, and no condition holds for any: name some, see `vdd dataset show`"
        )
    in_bin = sorted(path.name for path in _bin(store).glob("*")) if empties_bin else []
    print("\n".join([*names, *(f"{DELETED}/{name}" for name in in_bin)]))
    count = len(names) + len(in_bin)
    what = f"{count} episode{'s' * (count > 1)}{' for good' * args.purge}"
    if not _agreed(args, what):
        print("nothing was deleted")
        return {"ok": True, "deleted": [], "purged": False}
    event: Event = "purged" if args.purge else "deleted"
    moved = [target for name in names if (target := _into_bin(store, name, event)) is not None]
    if args.purge:
        for path in [*moved, *(_bin(store) / name for name in in_bin)]:
            _remove(path)
    else:
        print(f"moved to {_bin(store)}: `vdd dataset delete {args.folder} NAME --restore`")
    return {"ok": True, "deleted": [*names, *in_bin], "purged": args.purge}


def _chosen(args: Args, store: EpisodeStore) -> tuple[str, ...]:
    names = named(store, args.names, gone=store.log().kept)
    if not args.condition.is_given:
        return names
    found = meeting(store, args.condition)
    return tuple(name for name in found if name in names) if names else found


def _agreed(args: Args, what: str) -> bool:
    if args.yes:
        return True
    if not sys.stdin.isatty():
        raise UserError(f"delete {what}? nobody can be asked here: say --yes")
    return input(f"delete {what}? [y/N] ").strip().lower() in ("y", "yes")


def _bin(store: EpisodeStore) -> Path:
    return store.folder / DELETED


def _into_bin(store: EpisodeStore, name: str, event: Event) -> Path | None:
    """One step of the file system, then the line that says so; only the line, and None, where the
    episode has vanished already."""
    if name not in store.list():
        append(store.folder, [Line(event, name, store.log().kept[name])])
        return None
    target, number = _bin(store) / name, 1
    make_folder(target.parent)
    while target.exists():
        number += 1
        target = target.with_name(f"{name}.{number}")
    # what it was saved with, so that one that was changed since is not sound when it is back
    manifest = store.log().kept.get(name, manifest_hash(store.folder / name))
    (store.folder / name).rename(target)
    for folder in (target.parent, store.folder):
        sync_folder(folder)
    append(store.folder, [Line(event, name, manifest)])
    return target


def _restored(args: Args, store: EpisodeStore) -> dict:
    if not args.names or args.condition.is_given or args.purge:
        raise UserError("to take episodes back from the bin, name them, and nothing else")
    for name in args.names:
        source, target = _bin(store) / name, store.folder / _own_name(name)
        if Path(name).name != name or not source.is_dir():
            raise UserError(f"no {name} in {_bin(store)}: name what lies there")
        if target.exists():
            raise UserError(f"{target} is there and would be overwritten: move it first")
    for name in dict.fromkeys(args.names):
        own = _own_name(name)
        found = manifest_hash(_bin(store) / name)
        as_saved = store.log().hash_of_binned(own, found)
        (_bin(store) / name).rename(store.folder / own)
        for folder in (store.folder, _bin(store)):
            sync_folder(folder)
        append(store.folder, [Line("saved", own, as_saved)])
        changed = "" if found == as_saved else ", but its manifest is not the one that was saved"
        print(f"{own} is back in {store.folder}{changed}")
    return {"ok": True, "restored": [_own_name(name) for name in args.names]}


def _own_name(name: str) -> str:
    """Without the number that it got where another one of its name was in the bin."""
    return re.sub(r"\.\d+$", "", name)


def _remove(path: Path) -> None:
    if path.is_symlink():
        path.unlink()
    else:
        shutil.rmtree(path)
