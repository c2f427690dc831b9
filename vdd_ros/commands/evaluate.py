"""Evaluate bundles in simulation: the robot's own control loop, in simulated time, without ROS.

Rollout i of every bundle has the same start and the same seed. What is finished is kept under
--out and not run again, as long as bundle, contract and code are the same.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from tyro.conf import Positional

from vdd_ros.bundle import Bundle
from vdd_ros.bundle_manifest import read_manifest
from vdd_ros.commands.config_files import contract_of
from vdd_ros.commands.progress import progress
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError


@dataclass(frozen=True)
class Args:
    bundles: Positional[tuple[Path, ...]]
    """Folders of the bundles."""
    out: Path
    """Folder that the rollouts are kept in."""
    episodes: int = 200
    """Rollouts of each bundle."""
    seed: int = 0
    """Seed of the first rollout; each next one has the next. From 10,000 on scenes are others:
    choose settings there, judge from 0 on."""
    processes: int = 2
    """Processes that roll out at the same time; no figure depends on it."""
    contract: Path | None = None
    """The robot's contract, whose limits apply; config/panda_TASK.yaml if not given."""
    task: str = "avoid"
    """What the robot is to do."""
    observation_delay: float = 0.0
    """From when something is true until the policy knows it [s]."""
    command_delay: float = 0.0
    """From a command's tick until the arm has it [s]."""


def main(args: Args) -> dict:
    """Print one row per bundle; raises UserError for a bundle that does not fit the robot."""
    if not args.bundles:
        raise UserError("which bundle? `vdd evaluate BUNDLE... --out FOLDER`")
    from vdd_ros.sim.delay import Delays
    from vdd_ros.sim.evaluate import evaluate

    delays = Delays(args.observation_delay, args.command_delay)
    names = Counter(read_manifest(folder).name for folder in args.bundles)
    if twice := [name for name, count in names.items() if count > 1]:
        raise UserError(
            f"{len(args.bundles)} bundles, but {twice[0]!r} is the name of more than one: rename "
            "their folders"
        )
    robot = Contract.from_yaml(contract_of(args.task, args.contract))
    for folder in args.bundles:  # all of them before the first is rolled out
        Bundle.load(folder, robot)
    seeds = range(args.seed, args.seed + args.episodes)
    rows = []
    for folder in args.bundles:
        with progress(f"evaluating {folder.name}") as report:
            result = evaluate(
                folder, robot, seeds, args.out, args.processes, args.task, report, delays
            )
        rows.append(result.summary())
    Console().print(table(rows), highlight=False)
    return {"ok": True, "policies": rows}


def table(rows: list[dict]) -> Table:
    """Summaries as people compare them; a figure that does not exist is a dash."""
    made = Table("policy", "success", "95 %", "entropy", "modes", "mean s", "acting rule")
    for row in rows:
        low, high = row["success_interval"]
        made.add_row(
            row["policy"],
            f"{row['success']:.3f}",
            f"{low:.3f}..{high:.3f}",
            "-" if row["entropy"] is None else f"{row['entropy']:.3f}",
            f"{row['modes']} of {row['modes_declared']}",
            "-" if row["seconds"] is None else f"{row['seconds']:.2f}",
            row["acting_rule"],
        )
    made.caption = "entropy: 0 where nothing succeeded; modes: taken by two successes or more"
    return made
