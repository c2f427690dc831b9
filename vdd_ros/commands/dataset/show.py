"""Show what one episode says about itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from tyro.conf import Positional

from vdd_ros.episode import EpisodeStore


@dataclass(frozen=True)
class Args:
    folder: Positional[Path]
    """The folder that the episodes were saved in."""
    name: Positional[str]
    """The episode to show."""


def main(args: Args) -> dict:
    """Print streams and declarations; raises UserError when the episode cannot be used."""
    manifest = EpisodeStore(args.folder).load(args.name).manifest
    table = Table("stream", "messages", "Hz", "of", "longest gap s", "incomplete", title=args.name)
    for stream, summary in manifest.streams.items():
        declared = manifest.contract.streams[stream].rate_hz
        table.add_row(
            stream,
            str(summary.count),
            f"{summary.rate_hz:.1f}",
            f"{declared:g}",
            f"{summary.longest_gap_s:.3f}",
            str(summary.incomplete),
        )
    lines = [
        f"task {manifest.task}, started {manifest.started}, {manifest.duration_s:.2f} s, "
        f"{manifest.software}",
        *(f"{key}: {value}" for key, value in manifest.meta.items()),
        str(manifest.verdict),
    ]
    Console().print(table, *lines, sep="\n", highlight=False, markup=False)
    return {"ok": True, **manifest.model_dump(mode="json")}
