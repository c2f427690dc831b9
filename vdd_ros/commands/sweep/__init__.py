"""Train, distil and judge everything that a file of config/benchmarks/ names, cell by cell.

A split of the episodes is trained and judged by a process of its own, so many at a time as
--processes allows. Then one call of each policy of the held-out split is timed, all in one run. A
sweep that was broken off is taken up where it stopped. It ends with tables, and with one JSON line
per finished cell in <out>/cells.jsonl.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from rich import table as rich_table
from rich.console import Console
from tyro.conf import Positional

from vdd_ros.commands.sweep.plan import HELD_OUT, Plan
from vdd_ros.commands.sweep.split import latencies, work
from vdd_ros.commands.sweep.table import folds_table, held_out_table
from vdd_ros.contract import Contract
from vdd_ros.durable import write_text
from vdd_ros.episode import EpisodeStore
from vdd_ros.errors import UserError

POLL_S = 0.5


@dataclass(frozen=True)
class Args:
    plan: Positional[Path]
    """File of config/benchmarks/."""
    episodes: Path
    """Folder of the episodes."""
    out: Path
    """Folder of runs and results; what is finished there is kept."""
    processes: int = 2
    """Splits that are worked on at a time, each in one thread."""
    split: str | None = None
    """Work on this split alone, in this process."""


def main(args: Args) -> dict:
    """Print the budget, work, print the table; raises UserError if a split fails."""
    plan = Plan.from_yaml(args.plan)
    if args.processes < 1:
        raise UserError(f"processes is {args.processes}; use at least 1")
    store = EpisodeStore(args.episodes, Contract.from_yaml(plan.contract))
    splits = plan.splits(store.list())
    if args.split not in (None, *splits):
        raise UserError(f"no split {args.split!r}: there are {', '.join(splits)}")
    _require_same(plan, store, args.out)
    if args.split is not None:
        work(plan, store, splits[args.split], args.out / args.split)
        return {"ok": True, "split": args.split}
    print(plan.budget(splits))
    _work_on_all(args, list(splits))
    cells = _cells(plan, args, list(splits), _latencies(plan, args.out))
    lines = "".join(json.dumps(cell, allow_nan=False) + "\n" for cell in cells)
    write_text(args.out / "cells.jsonl", lines)
    for table in (held_out_table(cells), folds_table(cells)):
        if table is not None:
            shown = rich_table.Table(*table.heads)
            for row in table.rows:
                shown.add_row(*row)
            Console().print(shown)
    return {"ok": True, "cells": cells}


def _require_same(plan: Plan, store: EpisodeStore, out: Path) -> None:
    """Raise UserError where `out` holds what another plan, or other episodes, led to."""
    files = {name: store.manifest(name).files for name in store.list()}
    sums = {name: sorted(one.sha256 for one in files[name].values()) for name in files}
    digest = hashlib.sha256(json.dumps(sums).encode()).hexdigest()
    text = json.dumps(plan.model_dump(mode="json") | {"episodes_sha256": digest}, indent=1)
    path = out / "plan.json"
    if not path.exists():
        out.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    elif path.read_text(encoding="utf-8") != text:
        raise UserError(
            f"{out} holds a sweep of another plan or of other episodes ({path} says which): name "
            f"another folder for this one, or remove that"
        )


def _work_on_all(args: Args, waiting: list[str]) -> None:
    running: dict[str, subprocess.Popen] = {}
    try:
        while waiting or running:
            while waiting and len(running) < args.processes:
                name = waiting.pop(0)
                running[name] = _start(args, name)
            time.sleep(POLL_S)
            for name in [name for name, process in running.items() if process.poll() is not None]:
                if code := running.pop(name).returncode:
                    log = args.out / f"{name}.log"
                    last = log.read_text(encoding="utf-8", errors="replace").rstrip()
                    raise UserError(
                        f"{name} ended with exit code {code}: {last.rpartition(chr(10))[2]} (all "
                        f"it said is in {log})"
                    )
                print(f"{name} is done", flush=True)
    finally:
        for process in running.values():
            process.terminate()
            process.wait()


def _start(args: Args, name: str) -> subprocess.Popen:
    words = ("sweep", args.plan, "--episodes", args.episodes, "--out", args.out, "--split", name)
    with (args.out / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "vdd_ros.cli", *map(str, words)],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def _latencies(plan: Plan, out: Path) -> dict[str, dict]:
    """One call of each policy of the held-out split, by name, measured unless it has been."""
    path = out / "latency.json"
    if not path.exists():
        write_text(path, json.dumps(latencies(plan, out / HELD_OUT), allow_nan=False))
    return json.loads(path.read_text())


def _cells(plan: Plan, args: Args, splits: list[str], latency: dict[str, dict]) -> list[dict]:
    """Every cell's figures, with what they are of; latencies only with the held-out split."""
    command = f"vdd sweep {args.plan} --episodes EPISODES --out OUT"
    cells = []
    for split in splits:
        for name in plan.judged:
            figures = json.loads((args.out / split / "results" / f"{name}.json").read_text())
            where = {"benchmark": plan.name, "split": split, "policy": name, "seed": plan.seed}
            timed = latency.get(name, {}) if split == HELD_OUT else {}
            cells.append(where | figures | timed | {"command": command})
    return cells
