"""A sweep over splits of recorded episodes: held-out ones, and folds of a cross-validation."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from vdd_ros.commands.sweep.plan import HELD_OUT, Plan
from vdd_ros.commands.sweep.same import keep, require_same, said
from vdd_ros.commands.sweep.split import latencies, work
from vdd_ros.commands.sweep.table import folds_table, held_out_table
from vdd_ros.commands.sweep.workers import spread
from vdd_ros.contract import Contract
from vdd_ros.durable import write_text
from vdd_ros.episode import EpisodeStore
from vdd_ros.errors import UserError


def sweep_episodes(plan: Plan, args) -> dict:
    """As `vdd sweep` does for a plan with folds; raises UserError if a split fails."""
    if args.episodes is None:
        raise UserError("this plan is one of recorded episodes: name their folder, --episodes")
    store = EpisodeStore(args.episodes, Contract.from_yaml(plan.contract))
    splits = plan.splits(store.list())
    if args.part not in (None, *splits):
        raise UserError(f"no part {args.part!r}: there are {', '.join(splits)}")
    facts = plan.model_dump(mode="json") | {"episodes_sha256": _digest(store)}
    require_same(args.out, facts, said(args.out))
    keep(args.out, facts)
    if args.part is not None:
        work(plan, store, splits[args.part], args.out / args.part)
        return {"ok": True, "part": args.part}
    print(plan.budget(splits))
    places = (
        args.plan.resolve(),
        "--episodes",
        args.episodes.resolve(),
        "--out",
        args.out.resolve(),
    )
    spread(args, ("sweep", *places), list(splits))
    cells = _cells(plan, args, list(splits), _latencies(plan, args.out))
    tables = [table for table in (held_out_table(cells), folds_table(cells)) if table is not None]
    return {"cells": cells, "tables": tables}


def _digest(store: EpisodeStore) -> str:
    files = {name: store.manifest(name).files for name in store.list()}
    sums = {name: sorted(one.sha256 for one in files[name].values()) for name in files}
    return hashlib.sha256(json.dumps(sums).encode()).hexdigest()


def _latencies(plan: Plan, out: Path) -> dict[str, dict]:
    """One call of each policy of the held-out split, by name, measured unless it has been."""
    path = out / "latency.json"
    if not path.exists():
        write_text(path, json.dumps(latencies(plan, out / HELD_OUT), allow_nan=False))
    return json.loads(path.read_text())


def _cells(plan: Plan, args, splits: list[str], latency: dict[str, dict]) -> list[dict]:
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
