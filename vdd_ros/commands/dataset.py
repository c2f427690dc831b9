"""Look at recorded episodes: check every file and verdict, show one, or sum up the folder."""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from tyro.conf import Positional

from vdd_ros.contract import Contract
from vdd_ros.episode import EpisodeStore
from vdd_ros.errors import UserError
from vdd_ros.manifest import Manifest

COLOURS = {"PASS": "green", "WARN": "yellow", "FAIL": "red", "BROKEN": "bold red"}


@dataclass(frozen=True)
class Args:
    action: Positional[Literal["check", "show", "stats"]]
    """check reads every episode whole; show prints one; stats sums up what the manifests say."""
    folder: Positional[Path]
    """The folder that the episodes were saved in."""
    name: Annotated[str | None, tyro.conf.Positional] = None
    """The episode to show."""
    contract: Path | None = None
    """A robot's contract: episodes of another interface are then refused."""


def main(args: Args) -> dict:
    """Print the table and return it as data; `ok` is False when an episode is broken or a FAIL."""
    contract = Contract.from_yaml(args.contract) if args.contract else None
    store = EpisodeStore(args.folder, contract)
    if args.action == "show":
        if args.name is None:
            raise UserError(f"which episode? `vdd dataset show {args.folder} NAME`")
        return show(store, args.name)
    return check(store) if args.action == "check" else stats(store)


def check(store: EpisodeStore) -> dict:
    """One row per episode: verdict and reasons, or why it cannot be used."""
    rows = [_checked(store, name) for name in store.list()]
    table = Table("episode", "verdict", "s", "messages", "declared", "why")
    for row in rows:
        colour = COLOURS[row["verdict"]]
        table.add_row(
            row["name"],
            f"[{colour}]{row['verdict']}[/]",
            "" if row["duration_s"] is None else f"{row['duration_s']:.1f}",
            str(row["messages"]),
            escape(", ".join(f"{key} {value}" for key, value in row["meta"].items())),
            escape("; ".join(row["reasons"])),
        )
    counts = Counter(row["verdict"] for row in rows)
    Console().print(table, f"{len(rows)} episodes: {_listed(counts)}", highlight=False)
    fine = not (counts["FAIL"] or counts["BROKEN"])
    return {"ok": fine, "episodes": rows, "verdicts": dict(counts)}


def _checked(store: EpisodeStore, name: str) -> dict:
    try:
        manifest = store.load(name).manifest
    except UserError as error:
        return {
            "name": name,
            "verdict": "BROKEN",
            "reasons": [str(error)],
            "duration_s": None,
            "messages": 0,
            "meta": {},
        }
    return {
        "name": name,
        "verdict": manifest.verdict.level,
        "reasons": list(manifest.verdict.reasons),
        "duration_s": manifest.duration_s,
        "messages": sum(stream.count for stream in manifest.streams.values()),
        "meta": manifest.meta,
    }


def show(store: EpisodeStore, name: str) -> dict:
    """Everything one episode says about itself; raises UserError when it cannot be used."""
    manifest = store.load(name).manifest
    table = Table("stream", "messages", "Hz", "of", "longest gap s", "incomplete", title=name)
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


def stats(store: EpisodeStore) -> dict:
    """Counts, durations and what was declared, from the manifests alone."""
    manifests = [store.manifest(name) for name in store.list()]
    durations = [manifest.duration_s for manifest in manifests]
    verdicts = dict(Counter(str(manifest.verdict.level) for manifest in manifests))
    interfaces = dict(Counter(manifest.interface_hash for manifest in manifests))
    declared = _declared(manifests)
    result = {
        "ok": True,
        "episodes": len(manifests),
        "seconds": round(sum(durations), 2),
        "seconds_median": round(statistics.median(durations), 2) if durations else None,
        "verdicts": verdicts,
        "interfaces": interfaces,
        "declared": declared,
    }
    table = Table("what", "value", title=str(store.folder))
    for key in ("episodes", "seconds", "seconds_median"):
        table.add_row(key, str(result[key]))
    table.add_row("verdicts", _listed(verdicts))
    table.add_row("interfaces", ", ".join(name[:12] for name in interfaces))
    for key, counts in declared.items():
        values = ", ".join(f"{value} ({count})" for value, count in counts.items())
        table.add_row(f"declared {key}", escape(f"{len(counts)} different: {values}"))
    Console().print(table, highlight=False)
    return result


def _declared(manifests: list[Manifest]) -> dict[str, dict[str, int]]:
    """How often each value of each declared key occurs."""
    keys = sorted({key for manifest in manifests for key in manifest.meta})
    return {
        key: dict(Counter(str(m.meta[key]) for m in manifests if key in m.meta)) for key in keys
    }


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
