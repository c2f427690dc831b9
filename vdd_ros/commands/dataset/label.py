"""Correct how episodes went, and their notes, after they were saved.

    vdd dataset label DEMOS episode_0004 --label failure --note "the cup slipped"
    vdd dataset label DEMOS episode_0004 --label none

Nothing of an episode is changed: a line is added to the folder's log, and whatever reads the
episodes goes by the newest one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from vdd_ros.correction import correct
from vdd_ros.episode_notes import NOTE, SUCCESS
from vdd_ros.errors import UserError

LABELS = {"success": True, "failure": False, "none": None}


@dataclass(frozen=True)
class Args:
    folder: Positional[Path]
    """The folder that the episodes were saved in."""
    names: Positional[tuple[str, ...]]
    """The episodes."""
    label: Literal["success", "failure", "none"] | None = None
    """How they went; none: nobody knows."""
    note: str | None = None
    """In the place of the note that there is; empty: none."""


def main(args: Args) -> dict:
    """Add the lines and tell it; raises UserError before any is added."""
    names = tuple(dict.fromkeys(args.names))
    correction: dict[str, object] = {}
    if args.label is not None:
        correction[SUCCESS] = LABELS[args.label]
    if args.note is not None:
        correction[NOTE] = args.note.strip() or None
    if not names or not correction:
        raise UserError("name episodes, and say --label, --note, or both")
    print(correct(args.folder, names, correction))
    return {"ok": True, "episodes": list(names), "meta": correction}
