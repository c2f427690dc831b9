"""Let the action node drive for half an hour: its memory, its threads and its time must not drift.

With every guard, the monitor, diagnostics and the flight recorder on, joint states at 1 kHz from
another process, and commands timed in a third one.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from rich.console import Console
from rich.table import Table
from tyro.conf import Positional, arg

from vdd_ros.bundle import Bundle
from vdd_ros.commands.bench import origin
from vdd_ros.commands.bench.stand import (
    ANYWHERE,
    Stand,
    at_rates,
    begin_of,
    require_running,
    stand,
    wait_for_commands,
)
from vdd_ros.commands.progress import progress
from vdd_ros.errors import UserError
from vdd_ros.processes import Footprint

NODE = "action_node"
LOOK_S, SHORTEST_S = 1.0, 5.0
MIB = 2.0**20
MOST_GROWTH = MIB  # [bytes] after the warm-up


@dataclass(frozen=True)
class Args:
    bundle: Annotated[Positional[Path], arg(metavar="BUNDLE")]
    """Folder of the bundle that drives."""
    rate: float = 500.0
    """Control ticks a second."""
    seconds: float = 1800.0
    """So long, after the warm-up."""
    warm_up: float = 60.0
    """So long before anything counts [s]."""
    joint_rate: float = 1000.0
    """Joint states a second."""
    seed: int = 0
    """Of the policy's draws."""


def main(args: Args) -> dict:
    """Print the figures; raises UserError where a bundle cannot be run."""
    if not min(args.rate, args.seconds, args.joint_rate) > 0.0 or args.warm_up < 0.0:
        raise UserError("rate, seconds and joint_rate must be above 0, warm_up 0 or more")
    if args.seconds < SHORTEST_S:
        raise UserError(f"seconds is {args.seconds:g}: watch for {SHORTEST_S:g} at least")
    bundle = Bundle.load(args.bundle)
    contract = at_rates(bundle.contract, args.rate, args.joint_rate)
    with tempfile.TemporaryDirectory() as name, stand(Path(name), contract, begin_of(bundle)) as on:
        settings: dict[str, object] = {"contract": on.contract_path}
        settings |= {"bundle": args.bundle.resolve()}
        settings |= {"start_tolerance": ANYWHERE, "most_missed": 0, "seed": args.seed}
        on.nodes.start(NODE, settings | {"autostart": True})
        wait_for_commands(on, NODE)
        require_running(NODE, on.observer.observe(max(LOOK_S, args.warm_up)))
        footprints, commands_ns = _watched(on, args.seconds)
    result = {
        **figures(footprints, commands_ns, args.rate),
        "rate_hz": args.rate,
        "seconds": args.seconds,
        "warm_up_s": args.warm_up,
        **origin(args.seed),
    }
    result["ok"] = result["flat"] and result["threads_gained"] <= 0
    Console().print(soak_table(result))
    return result


def _watched(on: Stand, seconds: float) -> tuple[list[Footprint], np.ndarray]:
    """A look a second, and the arrival of all commands [ns]; UserError where the run stops."""
    footprints, commands = [on.nodes.footprint(NODE)], []
    began_s = time.monotonic()
    with progress("driving") as report:
        while (passed_s := time.monotonic() - began_s) < seconds:
            observed = on.observer.observe(LOOK_S)
            on.nodes.check()
            require_running(NODE, observed)
            commands.append(observed.commands_ns)
            footprints.append(on.nodes.footprint(NODE))
            report(round(passed_s), round(seconds))
    return footprints, np.concatenate(commands)


def figures(footprints: list[Footprint], commands_ns: np.ndarray, rate_hz: float) -> dict:
    """What became of memory, threads and time. Growth is that of the least memory in the second
    half over the least in the first: what comes and goes is none. drift: of the commands' mean
    interval from the period, as a share, by the medians of the first and the last tenth."""
    held = np.array(footprints, dtype=np.int64)
    first, second = np.array_split(held[:, 0], 2)
    growth = int(second.min() - first.min())
    intervals = np.diff(commands_ns) * 1e-9 * rate_hz
    tenths = np.array_split(intervals, 10)
    return {
        "commands": len(commands_ns),
        "memory_mib": float(held[-1, 0] / MIB),
        "growth_mib": growth / MIB,
        "flat": growth < MOST_GROWTH,
        "threads": int(held[-1, 1]),
        "threads_gained": int(held[-1, 1] - held[0, 1]),
        "files_gained": int(held[-1, 2] - held[0, 2]),
        "drift": float(np.median(tenths[-1]) - np.median(tenths[0])),
        "mean_interval": float(intervals.mean()),
        "missed": float(np.mean(intervals > 1.5)),
    }


def soak_table(result: dict) -> Table:
    """One line a figure."""
    title = f"{result['seconds']:g} s at {result['rate_hz']:g} Hz"
    table = Table("figure", "value", "goal", title=title)
    table.add_row("memory at the end", f"{result['memory_mib']:.1f} MiB", "")
    table.add_row("growth after warm-up", f"{result['growth_mib']:.3f} MiB", "below 1")
    table.add_row("threads gained", str(result["threads_gained"]), "none")
    table.add_row("open files gained", str(result["files_gained"]), "")
    table.add_row("mean interval, periods", f"{result['mean_interval']:.5f}", "1")
    table.add_row("drift of the median interval", f"{result['drift']:+.2e}", "0")
    table.add_row("deadlines missed", f"{result['missed']:.2%}", "")
    return table
