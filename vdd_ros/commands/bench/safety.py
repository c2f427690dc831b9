"""Send hostile input through the safety filter, and look for a command beyond a limit.

Every sequence has a robot of its own, of 1 to 7 joints with limits from timid to wild. Half of the
sequences are runs within the limits with 1 to 4 faults, half are invented: targets that jump, run
away, tremble, are not finite or of the wrong size, and periods in which nobody drives. After each,
the arm is braked, and has to come to rest. What is called is `vdd_ros.safety.safe_commands`.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Column, Table

from vdd_ros.commands.bench import circumstances, measure
from vdd_ros.errors import UserError
from vdd_ros.hostile import answer, excess, robot, sequence, valid_run
from vdd_ros.safety import SafetyFilter
from vdd_ros.step_limits import TOLERANCE, StepLimits
from vdd_ros.timing import p50_ratio

FEWEST_STEPS = 50
ACCELERATION, JERK = "acceleration", "jerk"
BLOCKS, CALLS = 20, 500


@dataclass(frozen=True)
class Args:
    sequences: int = 10_000
    """How many; one half for each of the two ways in which limits are kept."""
    steps: int = FEWEST_STEPS
    """Targets in a sequence, at least."""
    seed: int = 0
    """Sequence i is that of the generator (seed, i)."""


def main(args: Args) -> dict:
    """Print what was found; not ok where a command is beyond a limit."""
    if args.sequences < 4 or args.steps < FEWEST_STEPS:
        raise UserError(
            f"{args.sequences} sequences of {args.steps} steps: write 4 or more of "
            f"{FEWEST_STEPS} or more"
        )
    calls = {limits: steps_of_seven_joints(limits) for limits in (ACCELERATION, JERK)}
    rows = [attack(args, limits) for limits in calls]
    measured = measure(calls, BLOCKS, CALLS)
    for row in rows:
        row["step_p50_us"] = measured.timings[row["limits"]].percentile_us(50)
    result = {
        "ok": not any(row["violations"] for row in rows),
        "rows": rows,
        "ratios": {
            "jerk_over_acceleration": p50_ratio(
                measured.timings[JERK], measured.timings[ACCELERATION]
            )
        },
        "tolerance": TOLERANCE,
        **circumstances(measured, args.seed),
    }
    Console().print(attack_table(rows))
    return result


def attack(args: Args, limits: str) -> dict:
    """All sequences against one way of keeping limits."""
    worst: dict[str, float] = {}
    violations, steps, moved, began = [], 0, 0, time.perf_counter()
    for number in track(range(args.sequences // 2), description=limits, transient=True):
        rng = np.random.default_rng([args.seed, number])
        one = sequence(rng, limits == JERK, is_mutated=number % 2 == 1, steps=args.steps)
        commands = answer(one)
        found = excess(one, commands)
        steps += len(one.targets)
        moved += bool((commands != one.start).any())
        worst = {name: max(value, worst.get(name, value)) for name, value in found.items()}
        if not max(found.values()) <= TOLERANCE:
            violations.append(number)
    return {
        "limits": limits,
        "sequences": args.sequences // 2,
        "mutated": args.sequences // 4,
        "moved": moved,
        "steps": steps,
        "violations": len(violations),
        "first_violations": violations[:10],
        "worst_excess": {
            name: None if value == -np.inf else value for name, value in worst.items()
        },
        "seconds": time.perf_counter() - began,
    }


def steps_of_seven_joints(limits: str) -> Callable[[], object]:
    """Calls of a filter that follows a run within its limits."""
    rng = np.random.default_rng(0)
    contract = robot(rng, limits == JERK, joints=7)
    safety = SafetyFilter(contract)
    if limits == JERK and safety.lacking:
        raise UserError(f"nothing to send input through: {safety.lacking}")
    start = (safety.lower + safety.upper) / 2.0
    run = valid_run(rng, StepLimits.of(contract), start, steps=5000)
    targets = itertools.cycle(np.array(run))
    safety.reset(start)
    return lambda: safety.step(next(targets))


def attack_table(rows: list[dict]) -> Table:
    """One line per way of keeping limits."""
    names = ("sequences", "steps", "violations", "worst excess", "step p50 us", "seconds")
    table = Table("limits up to", *(Column(name, justify="right") for name in names))
    for row in rows:
        worst = max(value for value in row["worst_excess"].values() if value is not None)
        figures = (f"{row[name]:,}" for name in ("sequences", "steps", "violations"))
        rest = (f"{worst:.1e}", f"{row['step_p50_us']:.1f}", f"{row['seconds']:.0f}")
        table.add_row(row["limits"], *figures, *rest)
    return table
