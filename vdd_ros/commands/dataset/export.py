"""Write episodes in a foreign format: LeRobot v3.0, robomimic's HDF5 or rosbag2.

The new folder is there whole or not at all. A file vdd_ros.json in it says what its numbers are, so
that `vdd dataset import` reads it again without a declaration, and what the format has lost.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from tyro.conf import Positional

from vdd_ros.commands.progress import progress
from vdd_ros.datasets.exporting import Exported, Settings, export
from vdd_ros.episode import EpisodeStore
from vdd_ros.errors import UserError
from vdd_ros.fitness import told_of_vanished, vanished


@dataclass(frozen=True)
class Args:
    folder: Positional[Path]
    """Folder of episodes."""
    out: Positional[Path]
    """Folder to make."""
    format: Annotated[Literal["lerobot_v3", "robomimic", "rosbag2"], tyro.conf.arg(name="format")]
    """Format to write."""
    dtype: Literal["float32", "float64"] = "float32"
    """Of LeRobot's numbers; float64 loses no digits."""
    file_mb: int = 100
    """Of LeRobot's files: the size that none is to pass, in MiB."""
    images: bool = False
    """Of LeRobot's format and robomimic's: write what cameras showed at each frame, as images in
    the data files."""
    video: Literal["av1", "h264"] | None = None
    """Of LeRobot's format: write that as video instead, which is smaller and loses something."""
    valid: float = 0.1
    """Of robomimic's filter keys: share of the episodes, the last ones, that are `valid`."""
    allow_failed: bool = False
    """Export episodes that are not fit to learn from (FAIL) as well, with their verdicts."""


def main(args: Args) -> dict:
    """Export and print what was written; raises UserError where that cannot be."""
    if args.file_mb < 1:
        raise UserError(f"file_mb is {args.file_mb}; write 1 or more")
    if not 0.0 <= args.valid < 1.0:
        raise UserError(f"valid is {args.valid:g}; write a share from 0 to below 1")
    has_images = args.images or args.video is not None
    if has_images and args.format == "rosbag2":
        raise UserError(
            f"--{'images' if args.images else 'video'} is for formats of frames; rosbag2 has "
            "pictures without it"
        )
    if args.video is not None and args.format == "robomimic":
        raise UserError("robomimic's files have no video: say --images")
    if args.images and args.video is not None:
        raise UserError("say --images or --video, not both: the same pictures would be there twice")
    os.environ.setdefault("SVT_LOG", "1")  # errors alone, of an encoder that tells its settings
    settings = Settings(
        args.dtype, args.file_mb, args.valid, args.allow_failed, has_images, args.video
    )
    with ExitStack() as stack:
        shown: dict[str, Callable[..., None]] = {}

        def report(what: str, done: int, count: int) -> None:
            if what not in shown:
                stack.close()
                shown[what] = stack.enter_context(progress(f"{what} {args.format}"))
            shown[what](done, count)

        exported = export(args.folder, args.out, args.format, settings, report)
    _print(exported, args)
    store = EpisodeStore(args.folder)
    if told := told_of_vanished(store):
        print(told)
    description = exported.description
    return {
        "ok": True,
        "folder": args.out,
        "format": args.format,
        "episodes": [
            {
                "name": one.name,
                "recording": one.recording,
                "rows": rows,
                "verdict": one.verdict.level,
                "reasons": list(one.verdict.reasons),
            }
            for one, rows in zip(description.episodes, exported.rows, strict=True)
        ],
        "lost": list(description.lost),
        "vanished": list(vanished(store)),
    }


def _print(exported: Exported, args: Args) -> None:
    rows = "messages" if args.format == "rosbag2" else "frames"
    table = Table("episode", "recording", rows, "s", "task", "success", "verdict")
    for one, count in zip(exported.description.episodes, exported.rows, strict=True):
        label = one.meta.get("success")
        table.add_row(
            one.name,
            one.recording,
            str(count),
            f"{one.duration_s:.1f}",
            escape(one.task),
            "" if label is None else str(label),
            escape(str(one.verdict)),
        )
    console = Console()
    console.print(table, f"{len(exported.rows)} episodes in {args.out}", highlight=False)
    for clause in exported.description.lost:
        console.print(f"lost: {escape(clause)}", highlight=False)
