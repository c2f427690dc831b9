"""Read every episode of a folder whole: verdicts, and which cannot be used."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from tyro.conf import Positional

from vdd_ros.commands.dataset.listed import calibration_of, listed
from vdd_ros.contract import Contract
from vdd_ros.episode import EpisodeStore
from vdd_ros.errors import UserError

COLOURS = {"PASS": "green", "WARN": "yellow", "FAIL": "red", "BROKEN": "bold red"}


@dataclass(frozen=True)
class Args:
    folder: Positional[Path]
    """The folder that the episodes were saved in."""
    contract: Path | None = None
    """A robot's contract: episodes of another interface are then refused."""


def main(args: Args) -> dict:
    """Print the table and return it as data; `ok` is False when an episode is broken or a FAIL."""
    contract = Contract.from_yaml(args.contract) if args.contract else None
    store = EpisodeStore(args.folder, contract)
    rows = [_checked(store, name) for name in store.list()]
    table = Table("episode", "verdict", "s", "messages", "images", "declared", "why")
    for row in rows:
        colour = COLOURS[row["verdict"]]
        table.add_row(
            row["name"],
            f"[{colour}]{row['verdict']}[/]",
            "" if row["duration_s"] is None else f"{row['duration_s']:.1f}",
            str(row["messages"]),
            str(row["images"]) if row["images"] else "",
            escape(", ".join(f"{key} {value}" for key, value in row["meta"].items())),
            escape("; ".join(row["reasons"])),
        )
    counts = Counter(row["verdict"] for row in rows)
    calibrations = Counter(row["calibration"] for row in rows if row["verdict"] != "BROKEN")
    Console().print(table, f"{len(rows)} episodes: {listed(counts)}", highlight=False)
    if len(calibrations) > 1:
        told = f"{len(calibrations)} different calibrations: {listed(calibrations)}"
        Console().print(told, highlight=False)
    fine = not (counts["FAIL"] or counts["BROKEN"])
    return {
        "ok": fine,
        "episodes": rows,
        "verdicts": dict(counts),
        "calibrations": dict(calibrations),
    }


def _checked(store: EpisodeStore, name: str) -> dict:
    try:
        manifest = store.load(name).manifest
        store.check_images(name)
    except UserError as error:
        return {
            "name": name,
            "verdict": "BROKEN",
            "reasons": [str(error)],
            "duration_s": None,
            "messages": 0,
            "images": 0,
            "meta": {},
            "calibration": None,
        }
    return {
        "name": name,
        "verdict": manifest.verdict.level,
        "reasons": list(manifest.verdict.reasons),
        "duration_s": manifest.duration_s,
        "messages": sum(stream.count for stream in manifest.streams.values()),
        "images": sum(camera.count for camera in manifest.cameras.values()),
        "meta": manifest.meta,
        "calibration": calibration_of(manifest),
    }
