"""Damage recorded episodes in every way that we know of, and see whether it is found and named.

Two sound episodes are recorded; one of them is damaged, in a copy for every kind. `vdd dataset
check` has to name it, and nothing may be trained on it unawares: `vdd train` gets its windows from
where they are cached, and refuses it there, or it is a WARN that is told before training begins.
An episode that was decoded while it was sound may be learned from as it was.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from collections import Counter
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from vdd_ros.commands.bench import origin
from vdd_ros.commands.bench.damage.files import FOLDER, MANIFEST, RECORDING
from vdd_ros.commands.bench.damage.kinds import OTHER, Kind, Victim, sound_episodes
from vdd_ros.commands.bench.damage.mcap_bytes import BYTES
from vdd_ros.commands.bench.damage.streams import STREAMS
from vdd_ros.commands.config_files import config_file
from vdd_ros.commands.dataset import check
from vdd_ros.commands.progress import progress
from vdd_ros.contract import Contract
from vdd_ros.episode import EpisodeStore
from vdd_ros.errors import UserError
from vdd_ros.fitness import doubts
from vdd_ros.policies.window_cache import cached_windows
from vdd_ros.policies.window_source import WindowSource
from vdd_ros.policies.windows import EpisodeWindows, WindowSizes

SIZES = WindowSizes(n_obs_steps=1, horizon=4)
AS_IT_WAS = "as it was"
KINDS = (*MANIFEST, *RECORDING, *FOLDER, *BYTES, *STREAMS)


@dataclass(frozen=True)
class Args:
    contract: Path = Path("config/panda_avoid.yaml")
    """Whose streams are recorded: a robot that is sent arrays and reports joint states."""
    only: tuple[str, ...] = ()
    """Families to try; all if none is named."""
    seed: int = 0


def main(args: Args) -> dict:
    """Print a line for each kind; not ok where one is not found or can be trained on unawares."""
    families = sorted({kind.family for kind in KINDS})
    if unknown := sorted(set(args.only) - set(families)):
        raise UserError(f"no family {', '.join(unknown)}: name some of {', '.join(families)}")
    chosen = [kind for kind in KINDS if not args.only or kind.family in args.only]
    rows = []
    with tempfile.TemporaryDirectory() as scratch, progress("damaging") as report:
        sound = Path(scratch) / "sound"
        contract_path = config_file(args.contract)
        contract = Contract.from_yaml(contract_path)
        sound_episodes(sound, contract)
        cache = Path(scratch) / "cache"
        before = windows_of(sound, contract, cache)
        for number, kind in enumerate(chosen, 1):
            folder = Path(scratch) / "damaged"
            shutil.copytree(sound, folder)
            kind.do(Victim(folder))
            rows.append(row_of(kind, folder, contract_path, cache, before))
            shutil.rmtree(folder)
            report(number, len(chosen))
    found = sum(row["ok"] for row in rows)
    Console().print(table(rows), f"{found} of {len(rows)} kinds are found and named")
    return {
        "ok": found == len(rows),
        "kinds": len(rows),
        "found": found,
        "verdicts": dict(Counter(row["verdict"] for row in rows)),
        "rows": rows,
        "ratios": {},
        **origin(args.seed),
    }


def row_of(kind: Kind, folder: Path, contract: Path, cache: Path, before: WindowSource) -> dict:
    """What is said of a folder in which one episode is damaged; cache, before: where its windows
    were kept while it was sound, and they."""
    with redirect_stdout(io.StringIO()):
        said = check.main(check.Args(folder, contract))
    others = [row for row in said["episodes"] if row["name"] != OTHER]
    verdict = others[0]["verdict"] if others else None
    reasons = others[0]["reasons"] if others else []
    own = Contract.from_yaml(contract)
    with tempfile.TemporaryDirectory() as empty:
        training = trained(folder, own, Path(empty), before)
    again = trained(folder, own, cache, before)
    ok = verdict == kind.verdict and any(kind.word in reason for reason in reasons)
    return {
        "family": kind.family,
        "name": kind.name,
        "told": kind.told,
        "verdict": verdict,
        "reason": next((one for one in reasons if kind.word in one), "; ".join(reasons)),
        "training": training,
        "training_again": again,
        "ok": bool(ok and training not in (None, AS_IT_WAS) and again),
    }


def windows_of(folder: Path, contract: Contract, cache: Path) -> WindowSource:
    """As training gets them."""
    store = EpisodeStore(folder, contract)
    return cached_windows(store, store.list(), contract, SIZES, cache)


def trained(folder: Path, contract: Contract, cache: Path, before: WindowSource) -> str | None:
    """What keeps a policy from being trained on a damaged episode unawares: `refused`, or `told`
    before training; `not there` where it is not among the episodes; `as it was` where what is
    learned is what was sound before; None where nothing does."""
    store = EpisodeStore(folder, contract)
    names = store.list()
    try:
        source = windows_of(folder, contract, cache)
        manifests = [store.manifest(name) for name in names]
    except UserError:
        return "refused"
    if all(name == OTHER for name in names):
        return "not there"
    told = doubts(manifests, {one.name: one.warning for one in source.facts})
    if any(not doubt.startswith(OTHER) for doubt in told):
        return "told"
    return AS_IT_WAS if source.names == before.names and same(source, before) else None


def same(source: WindowSource, before: WindowSource) -> bool:
    """Whether two have bit for bit the same windows of the same episodes."""
    pairs = [(source.read(index), before.read(index)) for index in source.chosen]
    return all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for one, other in pairs
        for name in EpisodeWindows._fields
    )


def table(rows: list[dict]) -> Table:
    """For a terminal."""
    shown = Table("family", "done", "verdict", "why", "training", "decoded before", "")
    for row in rows:
        mark = "found" if row["ok"] else "[bold red]NOT FOUND[/]"
        training = row["training"], row["training_again"]
        shown.add_row(row["family"], row["told"], row["verdict"], row["reason"], *training, mark)
    return shown
