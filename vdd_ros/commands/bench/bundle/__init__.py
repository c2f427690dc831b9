"""Damage a bundle in every way that we know of, and see whether the right check refuses it.

Copies of a signed bundle are damaged and verified, as action_node and `vdd verify` do it. Where
hashes are made to agree, the one who did it had no key, and no key is demanded: what is wrong has
to be found by what it is.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from vdd_ros.bundle import Bundle
from vdd_ros.bundle_manifest import Manifest
from vdd_ros.bundle_verification import Failed, verified
from vdd_ros.commands.bench import origin
from vdd_ros.commands.bench.bundle.doing import MARK
from vdd_ros.commands.bench.bundle.kinds import KINDS, Kind
from vdd_ros.commands.bench.bundle.scene import Scene, scene_of
from vdd_ros.commands.bench.made import made, told
from vdd_ros.commands.progress import progress
from vdd_ros.signature import read_trusted


@dataclass(frozen=True)
class Args:
    bundle: Path | None = None
    """Bundle of a student that is a mixture, as exported; a small one is made if not given."""
    seed: int = 0


def main(args: Args) -> dict:
    """Print a line for each kind; not ok where one is not refused, or by another check."""
    bundle = args.bundle or made().student
    rows = []
    with tempfile.TemporaryDirectory() as scratch, progress("damaging") as report:
        scene = scene_of(bundle, Path(scratch))
        clean = is_clean(scene)
        kinds = kinds_of(Bundle.load(bundle).manifest)
        for number, kind in enumerate(kinds, 1):
            rows.append(row_of(kind, scene, number))
            report(number, len(kinds))
    refused = sum(row["ok"] for row in rows)
    Console().print(table(rows), f"{refused} of {len(rows)} kinds are refused by the right check")
    return {
        "ok": refused == len(rows) and clean,
        "kinds": len(rows),
        "refused": refused,
        "undamaged_passes": clean,
        "policy": told(args.bundle is not None),
        "rows": rows,
        "ratios": {},
        **origin(args.seed),
    }


def kinds_of(manifest: Manifest) -> list[Kind]:
    """Those that a bundle has the files for."""
    return [kind for kind in KINDS if not kind.file or kind.file in manifest.files]


def is_clean(scene: Scene) -> bool:
    """Whether the bundle passes where nothing is done to it."""
    victim = scene.victim(0)
    try:
        found = verified(victim.folder, scene.robot, read_trusted(scene.trusted))
    finally:
        shutil.rmtree(victim.folder.parent)
    return all(check.ok for check in found.checks)


def row_of(kind: Kind, scene: Scene, number: int) -> dict:
    """What is said of a bundle that was damaged this way; a crash is told as what it is."""
    victim = scene.victim(number)
    kind.do(victim)
    trusted = read_trusted(scene.trusted) if kind.trusted else frozenset()
    found, reason = None, "taken"
    try:
        verified(victim.folder, scene.robot, trusted)
    except Failed as error:
        found, reason = error.check, error.told.replace(f"{victim.folder}", "BUNDLE")
    except Exception as error:  # no other may come out of it: that is what is tried
        reason = f"crashed: {error!r}"
    executed = (victim.outside / MARK).exists()
    shutil.rmtree(victim.folder.parent)
    return {
        "family": kind.family,
        "told": kind.told,
        "check": kind.check,
        "refused_by": found,
        "reason": reason,
        "executed": executed,
        "ok": found == kind.check and not executed,
    }


def table(rows: list[dict]) -> Table:
    """For a terminal."""
    shown = Table("family", "done", "check", "why", "")
    for row in rows:
        mark = "refused" if row["ok"] else f"[bold red]{row['refused_by']}[/]"
        shown.add_row(row["family"], row["told"], row["check"], row["reason"], mark)
    return shown
