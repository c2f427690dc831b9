"""A sweep over simulated tasks: demonstrations first, then every task with every seed."""

from __future__ import annotations

from vdd_ros.commands.sweep.tasks_claims import claims
from vdd_ros.commands.sweep.tasks_facts import require_same_plan
from vdd_ros.commands.sweep.tasks_plan import TasksPlan
from vdd_ros.commands.sweep.tasks_table import claims_table, tables
from vdd_ros.commands.sweep.tasks_unit import FOLDER, cell, policies_of, record_task, work
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
    print(plan.budget)
    for parts in (recordings, trainings):
        spread(args, ("sweep", args.plan.resolve(), "--out", args.out.resolve()), parts)
    command = f"vdd sweep {args.plan} --out OUT"
    cells = [
        cell(plan, task, seed, teacher, policy, args.out) | {"command": command}
        for task in plan.tasks
        for seed in plan.seeds
        for teacher in plan.teachers_of(task)
        for policy in policies_of(plan, task, teacher)
    ]
    shown = [claims_table(claims(cells, teacher)) for teacher in plan.teachers]
    return {"cells": cells, "tables": [*tables(cells), *shown]}
