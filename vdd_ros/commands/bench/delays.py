"""How much of a policy's success is left when a network and drivers take their time, in simulation.

Half of each delay is on the way of the observations, half on that of the commands. Rollouts are
those of `vdd evaluate`; under --out they are kept and not run again.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from rich.console import Console
from rich.table import Column, Table
from tyro.conf import Positional, arg

from vdd_ros.bundle import Bundle
from vdd_ros.commands.bench import origin
from vdd_ros.commands.bench.made import made, told
from vdd_ros.commands.config_files import contract_of
from vdd_ros.commands.progress import progress
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError


@dataclass(frozen=True)
class Args:
    bundles: Annotated[Positional[tuple[Path, ...]], arg(metavar="BUNDLE")] = ()
    """Folders of the bundles that drive; without one a small student is made."""
    out: Path | None = None
    """Folder that the rollouts are kept in; without one they are not."""
    delays: tuple[float, ...] = (0.0, 0.02, 0.05, 0.1)
    """From when something is true until a command made of it acts [s]."""
    task: str = "avoid"
    """What the robot is to do."""
    contract: Path | None = None
    """The robot's contract; config/panda_TASK.yaml if not given."""
    episodes: int = 200
    """Rollouts of each bundle with each delay."""
    seed: int = 0
    """Seed of the first rollout."""
    processes: int = 2
    """Processes that roll out at the same time; no figure depends on it."""


def main(args: Args) -> dict:
    """Print one row per bundle and delay; raises UserError for a bundle that does not fit."""
    if not args.delays:
        raise UserError("which delays? `--delays 0 .05`")
    bundles = args.bundles or (made().student,)
    names = [Bundle.load(folder).name for folder in bundles]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"{twice[0]!r} is the name of more than one bundle: export it with --name")
    with tempfile.TemporaryDirectory() as name:
        rows = measure_delays(bundles, args.out or Path(name), args)
    result = {"ok": True, "rows": rows, "ratios": ratios_of(rows), "task": args.task}
    result |= {"policy": told(bool(args.bundles)), **origin(args.seed)}
    Console().print(delays_table(result), highlight=False)
    return result


def measure_delays(bundles: tuple[Path, ...], out: Path, args: Args) -> list[dict]:
    """A row per bundle and delay."""
    from vdd_ros.sim.delay import Delays
    from vdd_ros.sim.evaluate import evaluate

    robot = Contract.from_yaml(contract_of(args.task, args.contract))
    seeds = range(args.seed, args.seed + args.episodes)
    rows = []
    for bundle in bundles:
        for delay_s in args.delays:
            halves = Delays(delay_s / 2.0, delay_s / 2.0)
            with progress(f"{bundle.name}, {delay_s * 1e3:g} ms") as report:
                told = evaluate(
                    bundle, robot, seeds, out, args.processes, args.task, report, halves
                ).summary()
            names = ("policy", "success", "success_interval", "entropy", "seconds", "failures")
            rows.append({"delay_ms": delay_s * 1e3, **{name: told[name] for name in names}})
    return rows


def ratios_of(rows: list[dict]) -> dict[str, float | None]:
    """Success of each row over that of the same policy's shortest delay; None over none."""
    ratios = {}
    for row in rows:
        same = [one for one in rows if one["policy"] == row["policy"]]
        first = min(same, key=lambda one: one["delay_ms"])["success"]
        name = f"{row['policy']}_{row['delay_ms']:g}_ms_over_first"
        ratios[name] = row["success"] / first if first else None
    return ratios


def delays_table(result: dict) -> Table:
    """One line per policy and delay."""
    right = [Column(name, justify="right") for name in ("delay, ms", "success", "95 %", "entropy")]
    table = Table("policy", *right, Column("mean s", justify="right"), "failures")
    for row in result["rows"]:
        low, high = row["success_interval"]
        table.add_row(
            row["policy"],
            f"{row['delay_ms']:g}",
            f"{row['success']:.3f}",
            f"{low:.3f}..{high:.3f}",
            "-" if row["entropy"] is None else f"{row['entropy']:.3f}",
            "-" if row["seconds"] is None else f"{row['seconds']:.2f}",
            ", ".join(f"{why} ({count})" for why, count in row["failures"].items()) or "-",
        )
    return table
