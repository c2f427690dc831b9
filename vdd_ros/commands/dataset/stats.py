"""Sum a folder of episodes up: counts, durations and what was declared, from the manifests."""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from tyro.conf import Positional

from vdd_ros.commands.dataset.listed import calibration_of, listed
from vdd_ros.episode import EpisodeStore
from vdd_ros.fitness import TRIMMED, told_of_vanished, vanished
from vdd_ros.manifest import Manifest


@dataclass(frozen=True)
class Args:
    folder: Positional[Path]
    """The folder that the episodes were saved in."""


def main(args: Args) -> dict:
    """Print the table and return it as data; raises UserError when a manifest is damaged."""
    store = EpisodeStore(args.folder)
    manifests = [store.manifest(name) for name in store.list()]
    durations = [manifest.duration_s for manifest in manifests]
    verdicts = dict(Counter(str(manifest.verdict.level) for manifest in manifests))
    interfaces = dict(Counter(manifest.interface_hash for manifest in manifests))
    calibrations = dict(Counter(calibration_of(manifest) for manifest in manifests))
    declared = _declared(manifests)
    seconds_by = _seconds_by_operator(manifests)
    result = {
        "ok": True,
        "episodes": len(manifests),
        "vanished": list(vanished(store)),
        "seconds": round(sum(durations), 2),
        "seconds_median": round(statistics.median(durations), 2) if durations else None,
        "verdicts": verdicts,
        "interfaces": interfaces,
        "calibrations": calibrations,
        "declared": declared,
        "seconds_by_operator": seconds_by,
    }
    table = Table("what", "value", title=str(store.folder))
    for key in ("episodes", "seconds", "seconds_median"):
        table.add_row(key, str(result[key]))
    table.add_row("verdicts", listed(verdicts))
    table.add_row("interfaces", ", ".join(name[:12] for name in interfaces))
    table.add_row("calibrations", listed(calibrations))
    by = ", ".join(f"{name or 'not said'} {seconds:.0f}" for name, seconds in seconds_by.items())
    table.add_row("seconds by operator", escape(by))
    for key, counts in declared.items():
        values = ", ".join(f"{value} ({count})" for value, count in counts.items())
        table.add_row(f"declared {key}", escape(f"{len(counts)} different: {values}"))
    Console().print(table, highlight=False)
    if told := told_of_vanished(store):
        print(told)
    return result


def _seconds_by_operator(manifests: list[Manifest]) -> dict[str, float]:
    """How much each of them demonstrated [s]; under an empty name where nobody was named."""
    seconds: dict[str, float] = {}
    for manifest in manifests:
        operator = manifest.provenance.operator
        seconds[operator] = round(seconds.get(operator, 0.0) + manifest.duration_s, 2)
    return seconds


def _declared(manifests: list[Manifest]) -> dict[str, dict[str, int]]:
    """How often each value of each declared key occurs."""
    keys = sorted({key for manifest in manifests for key in manifest.meta} - {TRIMMED})
    return {
        key: dict(Counter(str(m.meta[key]) for m in manifests if key in m.meta)) for key in keys
    }
