"""Make episodes of recordings that were never saved: of a killed recorder, or set aside.

    vdd dataset recover DEMOS                      lists them
    vdd dataset recover DEMOS episode_0007
    vdd dataset recover DEMOS --all

They lie in `.quarantine/` of the folder. Each is judged anew and saved as any other, under its own
name where that is free, with the label, the notes and the provenance that its journal has. Only
when the episode is there and the folder's log has it, is what it was made of removed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from vdd_ros.commands.dataset.chosen import labelled
from vdd_ros.episode import EpisodeStore
from vdd_ros.episode_notes import NOTE
from vdd_ros.errors import UserError
from vdd_ros.part import left_overs
from vdd_ros.recovered_episode import LeftOver, make_episode, tidy_up
from vdd_ros.recovery import recover


@dataclass(frozen=True)
class Args:
    folder: Positional[Path]
    """The folder that episodes are saved in."""
    names: Positional[tuple[str, ...]] = ()
    """The recordings to make episodes of."""
    all: bool = False
    """All that are there."""


def main(args: Args) -> dict:
    """List what is there, or make episodes of it; not ok where one could not be made."""
    EpisodeStore(args.folder)  # or say that there is none
    tidy_up(args.folder)
    for found in recover(args.folder):
        print(found)
    there = left_overs(args.folder)
    names = tuple(dict.fromkeys(there if args.all else args.names))
    if not names:
        return _listed(args.folder, there)
    for name in names:  # before anything is made
        LeftOver.read(args.folder, name)
    made, failed = {}, {}
    for name in names:
        try:
            made[name], told = make_episode(LeftOver.read(args.folder, name))
            print(f"{name}: {told}")
        except (UserError, OSError) as error:
            failed[name] = str(error)
            print(f"{name}: no episode is made of it: {error}")
    return {"ok": not failed, "made": made, "failed": failed}


def _listed(folder: Path, names: list[str]) -> dict:
    rows = [_row(folder, name) for name in names]
    if not rows:
        print(f"nothing is left over in {folder}")
        return {"ok": True, "left_over": []}
    for row in rows:
        images = f", {row['images']} images" if row["images"] else ""
        print(f"{row['name']}: {row['duration_s']:.1f} s, {row['messages']} messages{images}")
        print(f"    {_known(row)}")
        print(f"    {row['why']}")
    print(f"`vdd dataset recover {folder} NAME ...` or `--all` makes episodes of them")
    return {"ok": True, "left_over": rows}


def _known(row: dict) -> str:
    """In words, what its journal says."""
    if not row["is_known"]:
        return "nothing is known of it but its messages"
    told = {"begun": row["begun"], "by": row["operator"], "task": row["task"]}
    words = [f"{what} {text}" for what, text in told.items() if text]
    note = f"note: {row['note']}" if row["note"] else ""
    return ", ".join([*words, *(text for text in (row["label"], note) if text)])


def _row(folder: Path, name: str) -> dict:
    left = LeftOver.read(folder, name)
    begun_ns, ended_ns = left.times_ns
    known = left.journal
    return {
        "name": name,
        "duration_s": round((ended_ns - begun_ns) * 1e-9, 4),
        "messages": len(left.contents.messages),
        "images": sum(len(one) for one in left.images.values()),
        "is_known": known is not None,
        "begun": "" if known is None else known.started,
        "operator": "" if known is None else known.provenance.operator,
        "task": "" if known is None else known.task,
        "label": "" if known is None else labelled(known.meta, ""),
        "note": "" if known is None else str(known.meta.get(NOTE, "")),
        "why": left.why,
    }
