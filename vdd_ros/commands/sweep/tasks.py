"""A sweep over simulated tasks: demonstrations first, then every task with every seed."""

from __future__ import annotations

from pathlib import Path

from vdd_ros.commands.sweep.cells import write_cells
from vdd_ros.commands.sweep.tasks_cells import finished_cells, places
from vdd_ros.commands.sweep.tasks_facts import require_same_plan
from vdd_ros.commands.sweep.tasks_plan import TasksPlan
from vdd_ros.commands.sweep.tasks_table import tables
from vdd_ros.commands.sweep.tasks_unit import FOLDER, record_task, work
from vdd_ros.commands.sweep.workers import spread
from vdd_ros.errors import UserError


def sweep_tasks(plan: TasksPlan, args) -> dict:
    """As `vdd sweep` does for a plan with tasks; raises UserError if a part fails."""
    if args.episodes is not None:
        raise UserError("this plan records its own demonstrations: drop --episodes")
    recordings = [f"{task}/{FOLDER}" for task in plan.tasks]
    trainings = [f"{task}/{seed}" for seed in plan.seeds for task in plan.tasks]
    if args.part not in (None, *recordings, *trainings):
        raise UserError(f"no part {args.part!r}: there are {', '.join([*recordings, *trainings])}")
    require_same_plan(plan, args.out)
    if args.part in recordings:
        record_task(plan, args.part.split("/")[0], args.out)
    elif args.part is not None:
        task, seed = args.part.split("/")
        work(plan, task, int(seed), args.out)
    if args.part is not None:
        return {"ok": True, "part": args.part}

    def finished() -> list[dict]:
        return finished_cells(plan, args.out, f"vdd sweep {args.plan} --out OUT")

    if not args.show:
        print(plan.budget)
        words = ("sweep", args.plan.resolve(), "--out", args.out.resolve())
        for parts in (recordings, trainings):
            spread(args, words, parts, lambda: write_cells(args.out, finished()))
    cells = finished()
    print(f"{len(cells)} of {len(list(places(plan)))} cells are finished")
    _draw(cells, args.out / "plots")
    return {"cells": cells, "tables": tables(cells)}


def _draw(cells: list[dict], folder: Path) -> None:
    from vdd_ros.commands.sweep.tasks_plots import plots  # matplotlib takes a second

    for name, image in plots(cells).items():
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(image)
