"""Split a folder of episodes into new ones: by count, by share, by name, or by what they say.

    vdd dataset split DEMOS --out PARTS --into test:10 train:rest --shuffle --seed 3
    vdd dataset split DEMOS --out PARTS --into train:80% test:20%
    vdd dataset split DEMOS --out PARTS --into odd:episode_0003,episode_0007 others:rest
    vdd dataset split DEMOS --out PARTS --by operator

Every part is a folder of PARTS. Recordings are linked to where the file system can, and copied
elsewhere; nothing is changed in them. `split.json` lists which episode is where, and how it came.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from tyro.conf import Positional

from vdd_ros.commands.dataset.chosen import label_of, named
from vdd_ros.commands.dataset.parts import new_folder, take
from vdd_ros.commands.progress import progress
from vdd_ros.durable import sync_folder, write_text
from vdd_ros.episode import EpisodeStore
from vdd_ros.episode_log import append
from vdd_ros.errors import UserError
from vdd_ros.fitness import duplicates, told_of_vanished
from vdd_ros.manifest import Manifest

LIST = "split.json"
FORMAT_VERSION = 1
REST = "rest"
PART = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9_-]*):(?P<what>.+)")


@dataclass(frozen=True)
class Args:
    folder: Positional[Path]
    """The folder that the episodes were saved in."""
    out: Path
    """Folder to make, of which every part is a folder."""
    into: tuple[str, ...] = ()
    """NAME:WHAT for each part. WHAT: a count, a share such as 80%, names with commas, or `rest`."""
    by: str | None = None
    """One part for each value: `label` (success, failure, none), `operator`, `verdict`, or a key
    that episodes were annotated with."""
    shuffle: bool = False
    """Counts and shares are taken at random instead of in the order of names."""
    seed: int = 0
    """Of the shuffling: the same seed, the same parts."""


def main(args: Args) -> dict:
    """Print which episodes are where; raises UserError before anything is made."""
    store = EpisodeStore(args.folder)
    if told := told_of_vanished(store):
        print(told)
    manifests = [store.manifest(name) for name in store.require_some()]
    if bool(args.into) == (args.by is not None):
        raise UserError("say --into or --by: `vdd dataset split --help` has examples of both")
    parts = _by_value(manifests, args.by) if args.by is not None else _wanted(store, args)
    _require_apart(parts, manifests)
    _write(store, parts, args)
    table = Table("part", "episodes", "s", "which", title=str(args.out))
    seconds = {manifest.name: manifest.duration_s for manifest in manifests}
    for part, names in parts.items():
        total = f"{sum(seconds[name] for name in names):.1f}"
        table.add_row(part, str(len(names)), total, ", ".join(names))
    Console().print(table, highlight=False)
    return {"ok": True, "out": args.out, "parts": parts}


def _by_value(manifests: list[Manifest], key: str) -> dict[str, list[str]]:
    """Names of episodes by the value that each has, as the name of a folder."""
    parts: dict[str, list[str]] = {}
    for manifest in manifests:
        value = re.sub(r"[^A-Za-z0-9_-]+", "-", _value(manifest, key)).strip("-") or "none"
        parts.setdefault(value, []).append(manifest.name)
    if list(parts) == ["none"]:
        raise UserError(f"no episode says its {key}: `vdd dataset stats` lists what they declare")
    return dict(sorted(parts.items()))


def _value(manifest: Manifest, key: str) -> str:
    if key == "label":
        return label_of(manifest)
    if key == "operator":
        return manifest.provenance.operator
    if key == "verdict":
        return manifest.verdict.level
    return str(manifest.meta.get(key, "none"))


def _wanted(store: EpisodeStore, args: Args) -> dict[str, list[str]]:
    """Names of episodes by part, those in the order of names."""
    wanted = dict(_read(args.into))
    listed = {part: what.split(",") for part, what in wanted.items() if not _is_amount(what)}
    taken = [name for names in listed.values() for name in named(store, tuple(names))]
    if len(set(taken)) < len(taken):
        twice = sorted({name for name in taken if taken.count(name) > 1})
        raise UserError(f"{', '.join(twice)} would be in two parts: name each episode once")
    left = [name for name in store.list() if name not in taken]
    if args.shuffle:
        left = [left[index] for index in np.random.default_rng(args.seed).permutation(len(left))]
    counts = _counts({part: what for part, what in wanted.items() if part not in listed}, len(left))
    for part, count in counts.items():
        listed[part], left = sorted(left[:count]), left[count:]
    return {part: sorted(listed[part]) for part in wanted}


def _read(into: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    seen = set()
    for text in into:
        match = PART.fullmatch(text)
        if match is None:
            raise UserError(f"--into {text!r}: write NAME:WHAT, such as train:80% or test:10")
        if match["name"] in seen:
            raise UserError(f"part {match['name']} is named twice: rename one")
        seen.add(match["name"])
        yield match["name"], match["what"]


def _is_amount(what: str) -> bool:
    return what == REST or re.fullmatch(r"\d+|\d+(\.\d+)?%|0?\.\d+", what) is not None


def _counts(wanted: dict[str, str], total: int) -> dict[str, int]:
    """How many of `total` episodes each part gets. Shares are of all of them, and rounded so that
    shares of 100 % together leave none; `rest` is what the others leave."""
    shares, counts = {}, {}
    for part, what in wanted.items():
        if what.endswith("%"):
            shares[part] = float(what[:-1]) / 100
        elif "." in what:
            shares[part] = float(what)
        elif what != REST:
            counts[part] = int(what)
    if sum(shares.values()) > 1 + 1e-9:
        raise UserError(f"shares of {sum(shares.values()):.0%}: ask for 100 % at most")
    ends = np.round(np.cumsum([0.0, *shares.values()]) * total).astype(int)
    counts |= dict(zip(shares, np.diff(ends).tolist(), strict=True))
    rests = [part for part, what in wanted.items() if what == REST]
    left = total - sum(counts.values())
    if left < 0 or len(rests) > 1:
        raise UserError(
            f"{sum(counts.values())} episodes are asked for and {total} are to be had: ask for "
            f"fewer; one part may be {REST}"
        )
    counts |= dict.fromkeys(rests, left)
    if empty := [part for part in wanted if counts[part] == 0]:
        raise UserError(f"nothing is left for {', '.join(empty)}: ask for fewer in the others")
    return {part: counts[part] for part in wanted}


def _require_apart(parts: dict[str, list[str]], manifests: list[Manifest]) -> None:
    """Raise UserError where a recording, under whatever names, would be in two parts."""
    place = {name: part for part, names in parts.items() for name in names}
    for name, other in duplicates(manifests).items():
        if name in place and other in place and place[name] != place[other]:
            raise UserError(
                f"{name} is of the same recording as {other} and would be in another part: "
                f"delete one"
            )


def _write(store: EpisodeStore, parts: dict[str, list[str]], args: Args) -> None:
    count, done = sum(map(len, parts.values())), 0
    with new_folder(args.out) as folder, progress("splitting") as report:
        for part, names in parts.items():
            (folder / part).mkdir()
            lines = []
            for name in names:
                lines.append(take(store, name, folder / part / name))
                report(done := done + 1, count)
            append(folder / part, lines)
        chosen = asdict(args) | {"folder": str(args.folder), "out": str(args.out)}
        told = {"format_version": FORMAT_VERSION, "arguments": chosen, "parts": parts}
        write_text(folder / LIST, json.dumps(told, indent=1) + "\n")
        sync_folder(folder)
