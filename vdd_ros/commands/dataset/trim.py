"""Trim episodes: cut what is before and after, into a new folder; the old one stays as it is.

    vdd dataset trim DEMOS episode_0004 --out TRIMMED --begin 1.5 --end 0.5
    vdd dataset trim DEMOS --out TRIMMED --idle

Messages stay the bytes that they were, with both times; pictures of cameras come along whole. Each
episode is judged anew; what its manifest said and its messages do not show (cameras, clocks,
calibration) is kept. The new manifest says what it was cut from and how.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pydantic import JsonValue
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from tyro.conf import Positional

from vdd_ros.bag import read_bag
from vdd_ros.commands.dataset.chosen import named
from vdd_ros.commands.dataset.parts import new_folder
from vdd_ros.commands.progress import progress
from vdd_ros.contract import Contract
from vdd_ros.episode import Episode, EpisodeStore
from vdd_ros.episode_log import append, manifest_hash, saved
from vdd_ros.errors import UserError
from vdd_ros.fitness import TRIMMED, TRIMMED_BEFORE, beyond_streams
from vdd_ros.idle import moving_from_to
from vdd_ros.manifest import Manifest
from vdd_ros.rewriting import rewrite


@dataclass(frozen=True)
class Args:
    folder: Positional[Path]
    """The folder that the episodes were saved in."""
    out: Path
    """Folder to make."""
    names: Positional[tuple[str, ...]] = ()
    """The episodes to trim; all if none is named."""
    begin: float = 0.0
    """Seconds to cut from the beginning."""
    end: float = 0.0
    """Seconds to cut from the end."""
    idle: bool = False
    """Cut to where the arm, or what it is told, first moves and last does."""
    idle_share: float = 0.002
    """Of a joint's range: by less, it has not moved."""
    idle_margin: float = 0.1
    """Seconds that are left before and after."""


class Span(NamedTuple):
    """What is kept, in ns of the ROS clock."""

    begin_ns: int
    end_ns: int


def main(args: Args) -> dict:
    """Print what is cut; raises UserError before anything is made where an episode cannot be."""
    if args.idle == (args.begin > 0 or args.end > 0):
        raise UserError("say how many seconds to cut, --begin and --end, or --idle")
    if min(args.begin, args.end, args.idle_margin, args.idle_share) < 0:
        raise UserError("seconds and shares are 0 or more: correct them")
    store = EpisodeStore(args.folder)
    names = named(store, args.names) or store.require_some()
    table = Table("episode", "s", "cut from the beginning", "from the end", "s left", "verdict")
    rows, lines = [], []
    with new_folder(args.out) as part, progress("trimming") as report:
        for done, name in enumerate(names, 1):
            row, manifest = _trim(store, name, part / name, args)
            table.add_row(
                name,
                *(f"{row[key]:.2f}" for key in ("seconds", "begin_s", "end_s")),
                f"{manifest.duration_s:.2f}",
                escape(str(manifest.verdict)),
            )
            rows.append(row)
            lines.append(saved(part, name, source=str(store.folder / name)))
            report(done, len(names))
        append(part, lines)
    Console().print(table, highlight=False)
    if not any(row["begin_s"] or row["end_s"] for row in rows):
        print("nothing was cut: the episodes are as they were")
    return {"ok": True, "out": args.out, "episodes": rows}


def _trim(store: EpisodeStore, name: str, target: Path, args: Args) -> tuple[dict, Manifest]:
    episode, folder = store.load(name), store.folder / name
    span = _span(episode, args)
    (recording,) = (
        file for file in episode.manifest.files if file.endswith(".mcap") and "/" not in file
    )
    kept = [
        message
        for message in read_bag(folder / recording).messages
        if span.begin_ns <= message.received_ns <= span.end_ns
    ]
    ended_ns = _ended_ns(episode)
    cut_s = {
        "begin_s": round((span.begin_ns - episode.manifest.started_ns) * 1e-9, 6),
        "end_s": round((ended_ns - span.end_ns) * 1e-9, 6),
    }
    how = (
        f"idle, {args.idle_share:g} of a range, {args.idle_margin:g} s left"
        if args.idle
        else "asked"
    )
    note: dict[str, JsonValue] = {
        "from": name,
        "recording_sha256": episode.manifest.files[recording].sha256,
        "manifest_sha256": manifest_hash(folder),
        **cut_s,
        "how": how,
    }
    if TRIMMED in episode.manifest.meta:
        note[TRIMMED_BEFORE] = episode.manifest.meta[TRIMMED]
    told = beyond_streams(episode)
    manifest = rewrite(episode.manifest, kept, *span, target, {TRIMMED: note}, folder, told)
    row = {
        "name": name,
        "seconds": episode.manifest.duration_s,
        **cut_s,
        "verdict": manifest.verdict.level,
        "messages": len(kept),
    }
    return row, manifest


def _ended_ns(episode: Episode) -> int:
    return episode.manifest.started_ns + round(episode.manifest.duration_s * 1e9)


def _span(episode: Episode, args: Args) -> Span:
    started_ns, ended_ns = episode.manifest.started_ns, _ended_ns(episode)
    begin_ns = started_ns + round(args.begin * 1e9)
    end_ns = ended_ns - round(args.end * 1e9)
    if args.idle:
        begin_ns, end_ns = _moving(episode.contract, episode, args)
    if begin_ns >= end_ns:
        raise UserError(
            f"{episode.name} is {episode.manifest.duration_s:.2f} s long, nothing would be left of "
            f"it: cut less, or leave it out"
        )
    return Span(max(started_ns, begin_ns), min(ended_ns, end_ns))


def _moving(contract: Contract, episode: Episode, args: Args) -> tuple[int, int]:
    moving = moving_from_to(contract, episode.streams, args.idle_share)
    if moving is None:
        raise UserError(
            f"{episode.name}: no joint moves by {args.idle_share:g} of its range: delete it"
        )
    margin_ns = round(args.idle_margin * 1e9)
    return moving[0] - margin_ns, moving[1] + margin_ns
