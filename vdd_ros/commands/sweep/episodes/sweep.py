"""A sweep over splits of recorded episodes: held-out ones, and folds of a cross-validation."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from vdd_ros.commands.sweep.cells import write_cells
from vdd_ros.commands.sweep.episodes.plan import HELD_OUT, Plan
from vdd_ros.commands.sweep.episodes.split import latencies, work
from vdd_ros.commands.sweep.episodes.table import folds_table, held_out_table
from vdd_ros.commands.sweep.same import keep, require_same, said
from vdd_ros.commands.sweep.workers import require_none, spread
from vdd_ros.contract import Contract
from vdd_ros.durable import replace_text
from vdd_ros.episode import EpisodeStore
from vdd_ros.errors import UserError

LATENCY = "latency.json"


def sweep_episodes(plan: Plan, args) -> dict:
    """As `vdd sweep` does for a plan with folds; raises UserError if a split fails."""
    if args.episodes is None:
        raise UserError("this plan is one of recorded episodes: name their folder, --episodes")
    if args.known is not None:
        raise UserError("--known is for a plan of simulated tasks: drop it")
    store = EpisodeStore(args.episodes, Contract.from_yaml(plan.contract))
    splits = plan.splits(store.list())
    if args.part not in (None, *splits):
        raise UserError(f"no part {args.part!r}: name one of {', '.join(splits)}")
    facts = plan.model_dump(mode="json") | {"episodes_sha256": _digest(store)}
    require_same(args.out, facts, said(args.out))
    if not args.show:
        keep(args.out, facts)
    if args.part is not None:
        work(plan, store, splits[args.part], args.out / args.part)
        return {"ok": True, "part": args.part}

    def finished() -> list[dict]:
        return _finished_cells(plan, args, list(splits))

    if not args.show:
        print(plan.budget(splits))
        files = (args.plan.resolve(), "--episodes", args.episodes.resolve())
        words = ("sweep", *files, "--out", args.out.resolve())
        failed = spread(args, words, list(splits), lambda: write_cells(args.out, finished()))
        require_none(failed)
        _time(plan, args.out)
    cells = finished()
    print(f"{len(cells)} of {len(splits) * len(plan.judged)} cells are finished")
    shown = (held_out_table(cells), folds_table(cells))
    return {"cells": cells, "tables": [one for one in shown if one is not None and one.rows]}


def _digest(store: EpisodeStore) -> str:
    files = {name: store.manifest(name).files for name in store.list()}
    sums = {name: sorted(one.sha256 for one in files[name].values()) for name in files}
    return hashlib.sha256(json.dumps(sums).encode()).hexdigest()


def _time(plan: Plan, out: Path) -> None:
    """One call of each policy of the held-out split, unless it has been."""
    path = out / LATENCY
    if not path.exists():
        replace_text(path, json.dumps(latencies(plan, out / HELD_OUT), allow_nan=False))


def _finished_cells(plan: Plan, args, splits: list[str]) -> list[dict]:
    """Figures of those that are judged, with what they are of; the held-out split's are finished
    once they are timed."""
    command = f"vdd sweep {args.plan} --episodes EPISODES --out OUT"
    path, cells = args.out / LATENCY, []
    latency = json.loads(path.read_text()) if path.exists() else None
    for split in splits:
        for name in plan.judged:
            result = args.out / split / "results" / f"{name}.json"
            if not result.exists() or (split == HELD_OUT and latency is None):
                continue
            figures = json.loads(result.read_text())
            where = {"benchmark": plan.name, "split": split, "policy": name, "seed": plan.seed}
            timed = latency.get(name, {}) if split == HELD_OUT and latency else {}
            cells.append(where | figures | timed | {"command": command})
    return cells
