"""Read every episode of a folder whole: verdicts, and which cannot be used.

An episode is judged anew, whatever its manifest says; one that the folder's log tells of and that
is not there, or that is not as it was saved, is BROKEN.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from tyro.conf import Positional

from vdd_ros.calibration.leader_drift import drift_of, rest_offset
from vdd_ros.commands.dataset.listed import calibration_of, listed
from vdd_ros.contract import Contract
from vdd_ros.episode import Episode, EpisodeStore
from vdd_ros.errors import UserError
from vdd_ros.fitness import duplicates, vanished, verdict_of
from vdd_ros.part import left_overs, told_of

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
    if not (vanished(store) or store.log().faults):
        store.require_some()
    rows, manifests, offsets = [], [], []
    for name in store.list():
        try:
            episode = store.load(name)
            store.check_images(name)
        except UserError as error:
            rows.append(_broken(name, str(error)))
            continue
        rows.append(_judged(episode))
        manifests.append(episode.manifest)
        offsets.append(rest_offset(episode))
    rows += [_broken(name, reason) for name, reason in vanished(store).items()]
    for name, other in duplicates(manifests).items():
        _warn(next(row for row in rows if row["name"] == name), f"of the same recording as {other}")
    drift = drift_of(offsets)
    faults = store.log().faults
    table = Table("episode", "verdict", "s", "messages", "images", "declared", "why")
    for row in rows:
        colour = COLOURS[row["verdict"]]
        table.add_row(
            row["name"],
            f"[{colour}]{row['verdict']}[/]",
            "" if row["duration_s"] is None else f"{row['duration_s']:.1f}",
            str(row["messages"]),
            str(row["images"]) if row["images"] else "",
            escape(", ".join(map(_declared, row["meta"].items()))),
            escape("; ".join(row["reasons"])),
        )
    counts = Counter(row["verdict"] for row in rows)
    calibrations = Counter(row["calibration"] for row in rows if row["verdict"] != "BROKEN")
    Console().print(table, f"{len(rows)} episodes: {listed(counts)}", highlight=False)
    if len(calibrations) > 1:
        print(f"{len(calibrations)} different calibrations: {listed(calibrations)}")
    left = left_overs(args.folder)
    told = [told_of(args.folder, len(left))] if left else []
    for line in [*faults, *drift.sentences, *told]:
        print(line)
    fine = not (counts["FAIL"] or counts["BROKEN"] or faults)
    return {
        "ok": fine,
        "episodes": rows,
        "verdicts": dict(counts),
        "calibrations": dict(calibrations),
        "log_faults": faults,
        "left_over": left,
        "drift": drift.to_dict(),
    }


def _declared(item: tuple[str, object]) -> str:
    """In a word or two: what is longer is for `vdd dataset show`."""
    key, value = item
    return key if isinstance(value, dict | list) else f"{key} {value}"


def _judged(episode: Episode) -> dict:
    verdict = verdict_of(episode)
    return {
        "name": episode.name,
        "verdict": verdict.level,
        "reasons": list(verdict.reasons),
        "duration_s": episode.manifest.duration_s,
        "messages": sum(stream.count for stream in episode.manifest.streams.values()),
        "images": sum(camera.count for camera in episode.manifest.cameras.values()),
        "meta": episode.manifest.meta,
        "calibration": calibration_of(episode.manifest),
    }


def _broken(name: str, reason: str) -> dict:
    return {
        "name": name,
        "verdict": "BROKEN",
        "reasons": [reason],
        "duration_s": None,
        "messages": 0,
        "images": 0,
        "meta": {},
        "calibration": None,
    }


def _warn(row: dict, reason: str) -> None:
    row["reasons"].append(f"{reason} (WARN)")
    if row["verdict"] == "PASS":
        row["verdict"] = "WARN"
