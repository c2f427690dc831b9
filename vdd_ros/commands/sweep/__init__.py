"""Train, distil and judge everything that a file of config/benchmarks/ names, cell by cell.

A plan is one of recorded episodes (held-out ones and folds), one of simulated tasks (recorded,
trained, judged and rolled out with several seeds), or one of test beds (methods and samplers beside
an exact teacher). Each part is worked on by a process of its own, so many at a time as --processes
allows, and calls are timed all in one run. A sweep that was broken off is taken up where it
stopped, also by a plan of tasks or beds that has got more to do or changed in what is not finished.
Each finished cell is a JSON line in <out>/cells.jsonl, whenever a part has ended; the sweep ends
with tables, also in <out>/tables.md, and of tasks and beds with plots in <out>/plots.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from rich import table as rich_table
from rich.console import Console
from tyro.conf import Positional

from vdd_ros.commands.config_files import config_file
from vdd_ros.commands.sweep.beds.plan import BedsPlan
from vdd_ros.commands.sweep.beds.sweep import sweep_beds
from vdd_ros.commands.sweep.cells import page, write_cells
from vdd_ros.commands.sweep.episodes.plan import Plan
from vdd_ros.commands.sweep.episodes.sweep import sweep_episodes
from vdd_ros.commands.sweep.tasks.plan import TasksPlan
from vdd_ros.durable import replace_text
from vdd_ros.errors import UserError
from vdd_ros.yaml_file import read_map

WIDEST = 8  # columns that a terminal has room for


@dataclass(frozen=True)
class Args:
    plan: Positional[Path]
    """File of config/benchmarks/."""
    out: Path
    """Folder of runs and results; what is finished there is kept."""
    episodes: Path | None = None
    """Folder of the episodes, for a plan of recorded ones."""
    processes: int = 2
    """Parts that are worked on at a time, each in one thread."""
    ray: str | None = None
    """Address of a Ray cluster that works on the parts instead, auto, HOST:6379 or local."""
    part: str | None = None
    """Work on this part alone, in this process."""
    known: Path | None = None
    """Cells that another sweep of this plan's tasks or beds has finished, such as those in
    docs/results/: tasks, seeds and teachers that it has all policies of, by the same choices, are
    left to it; on beds each policy by itself. What is told at the end has its cells as well."""
    show: bool = False
    """Work on nothing: lines, tables and plots of what is finished so far."""


def main(args: Args) -> dict:
    """Print the budget, work, print the tables; raises UserError if a part fails."""
    if args.processes < 1:
        raise UserError(f"processes is {args.processes}; use at least 1")
    if args.show and (args.part is not None or not args.out.is_dir()):
        raise UserError("--show is of what a whole sweep has left in --out: name that folder alone")
    args = replace(args, plan=config_file(args.plan))
    keys = read_map(args.plan, "plan")
    if "tasks" in keys:
        from vdd_ros.commands.sweep.tasks.sweep import sweep_tasks  # the simulator takes seconds

        made = sweep_tasks(TasksPlan.from_yaml(args.plan), args)
    elif "beds" in keys:
        made = sweep_beds(BedsPlan.from_yaml(args.plan), args)
    else:
        made = sweep_episodes(Plan.from_yaml(args.plan), args)
    if args.part is not None:
        return made
    tables = made.pop("tables")
    write_cells(args.out, made["cells"])
    replace_text(args.out / "tables.md", page(made["cells"], tables))
    for table in [one for one in tables if len(one.heads) <= WIDEST]:
        shown = rich_table.Table(*table.heads)
        for row in table.rows:
            shown.add_row(*row)
        Console().print(shown)
    print(f"every table: {args.out / 'tables.md'}")
    return {"ok": True, **made}
