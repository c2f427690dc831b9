"""Let the action node drive for half an hour: its memory, its threads and its time must not drift.

With every guard, the monitor, diagnostics and the flight recorder on, joint states at 1 kHz from
another process, and commands timed in a third one.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table
from tyro.conf import Positional, arg

from vdd_ros.bundle import Bundle
from vdd_ros.commands.bench import origin
from vdd_ros.commands.bench.made import made, told
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
LOOK_S, SHORTEST_S = 1.0, 10.0
MIB = 2.0**20
MOST_GROWTH_MIB = 1.0  # after the warm-up
EARLY, LATE = 0.1, 0.01  # shares of a run whose least memories are compared
MOST_LOOKS = 2000  # whose slopes are taken, evenly spread over the run
LEAST_LOOKS = 5  # so many in a row at least: what comes and goes is gone in one of them


@dataclass(frozen=True)
class Args:
    bundle: Annotated[Positional[Path | None], arg(metavar="BUNDLE")] = None
    """Folder of the bundle that drives; without one a small student is made."""
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
        raise UserError(
            "rate, seconds and joint_rate must be above 0, warm_up 0 or more: correct them"
        )
    if args.seconds < SHORTEST_S:
        raise UserError(f"seconds is {args.seconds:g}: watch for {SHORTEST_S:g} at least")
    bundle = Bundle.load(args.bundle or made().student)
    contract = at_rates(bundle.contract, args.rate, args.joint_rate)
    with tempfile.TemporaryDirectory() as name, stand(Path(name), contract, begin_of(bundle)) as on:
        settings: dict[str, object] = {"contract": on.contract_path}
        settings |= {"bundle": bundle.folder.resolve()}
        settings |= {"start_tolerance": ANYWHERE, "most_missed": 0, "seed": args.seed}
        on.nodes.start(NODE, settings | {"autostart": True})
        wait_for_commands(on, NODE)
        looks, commands_ns = _watched(on, args.warm_up, args.seconds)
    result = {
        **figures(looks, args.warm_up, commands_ns, args.rate),
        "rate_hz": args.rate,
        "seconds": args.seconds,
        "warm_up_s": args.warm_up,
        "policy": told(args.bundle is not None),
        "memory_mib_at_s": [[round(one.at_s, 1), one.memory_mib] for one in looks],
        **origin(args.seed),
    }
    result["ok"] = result["flat"] and result["threads_gained"] <= 0
    Console().print(soak_table(result))
    return result


class Look(NamedTuple):
    """What the node held so long after its first command."""

    at_s: float
    footprint: Footprint

    @property
    def memory_mib(self) -> float:
        """Resident."""
        return round(self.footprint.memory / MIB, 3)


def _watched(on: Stand, warm_up_s: float, seconds: float) -> tuple[list[Look], np.ndarray]:
    """A look a second, and the arrival of the commands after the warm-up [ns]; UserError where the
    run stops."""
    looks, commands = [Look(0.0, on.nodes.footprint(NODE))], []
    began_s = time.monotonic()
    with progress("driving") as report:
        while (passed_s := time.monotonic() - began_s) < warm_up_s + seconds:
            observed = on.observer.observe(LOOK_S)
            on.nodes.check()
            require_running(NODE, observed)
            if passed_s >= warm_up_s:
                commands.append(observed.commands_ns)
            looks.append(Look(time.monotonic() - began_s, on.nodes.footprint(NODE)))
            report(round(passed_s), round(warm_up_s + seconds))
    return looks, np.concatenate(commands)


def growth_mib(at_s: np.ndarray, memory_mib: np.ndarray) -> float:
    """Of a series (N,) of looks: the larger of what a steady leak would have gained, the median
    slope between any two looks (Theil and Sen) times the length of the run, and of what a leak at
    any moment has left, the least of the last hundredth less the least of the first tenth. What
    comes and goes is neither."""
    chosen = slice(None, None, -(-len(at_s) // MOST_LOOKS))
    earlier, later = np.triu_indices(len(at_s[chosen]), 1)
    pairs = [series[chosen][later] - series[chosen][earlier] for series in (memory_mib, at_s)]
    slopes = pairs[0] / pairs[1]
    steady = float(np.median(slopes)) * float(at_s[-1] - at_s[0])
    early, late = (max(LEAST_LOOKS, round(share * len(at_s))) for share in (EARLY, LATE))
    return max(steady, float(memory_mib[-late:].min() - memory_mib[:early].min()))


def figures(looks: list[Look], warm_up_s: float, commands_ns: np.ndarray, rate_hz: float) -> dict:
    """What became of memory, threads and time, the looks of the warm-up left out; growth as
    `growth_mib` has it. drift: of the commands' mean interval from the period, as a share, by the
    medians of the first and the last tenth."""
    counted = [one for one in looks if one.at_s >= warm_up_s]
    at_s, memory = np.array([(one.at_s, one.memory_mib) for one in counted]).T
    first, last = counted[0].footprint, counted[-1].footprint
    growth = growth_mib(at_s, memory)
    intervals = np.diff(commands_ns) * 1e-9 * rate_hz
    tenths = np.array_split(intervals, 10)
    return {
        "commands": len(commands_ns),
        "memory_mib": float(memory[-1]),
        "peak_mib": float(memory.max()),
        "growth_mib": growth,
        "flat": growth < MOST_GROWTH_MIB,
        "threads": last.threads,
        "threads_gained": last.threads - first.threads,
        "files_gained": last.files - first.files,
        "drift": float(np.median(tenths[-1]) - np.median(tenths[0])),
        "mean_interval": float(intervals.mean()),
        "missed": float(np.mean(intervals > 1.5)),
    }


def soak_table(result: dict) -> Table:
    """One line a figure."""
    title = f"{result['seconds']:g} s at {result['rate_hz']:g} Hz"
    table = Table("figure", "value", "goal", title=title)
    table.add_row("memory at the end", f"{result['memory_mib']:.1f} MiB", "")
    table.add_row("at most", f"{result['peak_mib']:.1f} MiB", "")
    table.add_row("growth after warm-up", f"{result['growth_mib']:.3f} MiB", "below 1")
    table.add_row("threads gained", str(result["threads_gained"]), "none")
    table.add_row("open files gained", str(result["files_gained"]), "")
    table.add_row("mean interval, periods", f"{result['mean_interval']:.5f}", "1")
    table.add_row("drift of the median interval", f"{result['drift']:+.2e}", "0")
    table.add_row("deadlines missed", f"{result['missed']:.2%}", "")
    return table
