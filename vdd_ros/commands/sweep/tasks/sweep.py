"""A sweep over simulated tasks: demonstrations first, then every task with every seed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vdd_ros.commands.sweep.cells import write_cells
from vdd_ros.commands.sweep.tasks.cells import (
    count_cells,
    finished_cells,
    groups,
    is_known,
    known_cells,
)
from vdd_ros.commands.sweep.tasks.facts import require_same_plan
from vdd_ros.commands.sweep.tasks.plan import TasksPlan
from vdd_ros.commands.sweep.tasks.table import tables
from vdd_ros.commands.sweep.tasks.unit import FOLDER, record_task, time_calls, work
from vdd_ros.commands.sweep.workers import require_none, spread, work_on_all
from vdd_ros.errors import UserError

LATENCY = "latency"


def sweep_tasks(plan: TasksPlan, args) -> dict:
    """As `vdd sweep` does for a plan with tasks; raises UserError if a part fails."""
    if args.episodes is not None:
        raise UserError("this plan records its own demonstrations: drop --episodes")
    known = known_cells(plan, args.known)
    open_groups = [group for group in groups(plan) if not is_known(plan, group, known)]
    left = {(group.task, group.seed) for group in open_groups}
    recordings = [f"{task}/{FOLDER}" for task in plan.tasks if task in dict(left)]
    trainings = [
        f"{task}/{seed}" for seed in plan.seeds for task in plan.tasks if (task, seed) in left
    ]
    timings = [f"{training}/{LATENCY}" for training in trainings]
    parts = (*recordings, *trainings, *timings)
    if args.part not in (None, *parts):
        raise UserError(f"no part {args.part!r}: name one of {', '.join(parts)}")
    require_same_plan(plan, args.out)
    if args.part in recordings:
        record_task(plan, args.part.split("/")[0], args.out)
    elif args.part is not None:
        task, seed, *_ = args.part.split("/")
        mine = [group for group in open_groups if group[:2] == (task, int(seed))]
        for group in mine:
            (time_calls if args.part in timings else work)(plan, group, args.out)
    if args.part is not None:
        return {"ok": True, "part": args.part}

    def finished() -> list[dict]:
        return finished_cells(plan, args.out, f"vdd sweep {args.plan} --out OUT", known)

    if not args.show:
        print(plan.budget)
        _work_on_all(args, (recordings, trainings), lambda: write_cells(args.out, finished()))
    cells = finished()
    print(f"{len(cells)} of {count_cells(plan)} cells are finished")
    _draw(cells, args.out / "plots")
    return {"cells": cells, "tables": tables(cells)}


def _work_on_all(args, stages: tuple[list[str], list[str]], ended: Callable[[], None]) -> None:
    """Record, then train; calls are timed last, one after the other and here, when nothing else
    keeps this machine busy. Raises UserError if a part fails, after all others."""
    recordings, trainings = stages
    words = ["sweep", args.plan.resolve(), "--out", args.out.resolve()]
    words += [] if args.known is None else ["--known", args.known.resolve()]
    require_none(spread(args, words, recordings, ended))
    failed = spread(args, words, trainings, ended)
    timings = [f"{training}/{LATENCY}" for training in trainings if training not in failed]
    require_none(failed | work_on_all(words, timings, args.out, 1, ended))


def _draw(cells: list[dict], folder: Path) -> None:
    from vdd_ros.commands.sweep.tasks.plots import plots  # matplotlib takes a second

    for name, image in plots(cells).items():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(image)
