"""Measure how fast a simulated robot is stepped, beside robosuite's own loop.

Both loops have the same physics step and control rate and are told the same commands, those of a
scripted operator in evaluation contexts. They are compared twice: how much faster ours is, and how
equal both are where a replay of the commands ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table

from vdd_ros.commands.bench import circumstances, measure, require_some, warn_if_busy
from vdd_ros.commands.config_files import contract_of
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.timing import p50_ratio

MOST_JOINT_ERROR = 1e-3  # [rad] at the end of a replay; beyond it the loops do not do the same
TIMED_RECORDINGS = 10  # through which the timed calls run
OURS, ROBOSUITE = "sim/env.py", "robosuite env.step"


@dataclass(frozen=True)
class Args:
    task: str = "avoid"
    """What is simulated; any that the scripted operator shows."""
    contract: Path | None = None
    """The robot's contract, whose control rate applies; config/panda_TASK.yaml if not given."""
    contexts: int = 100
    """How many recorded episodes are replayed through both loops."""
    blocks: int = 20
    """Blocks in which both loops take turns; ratios are medians over them."""
    calls: int = 250
    """Control ticks per loop and block."""
    seed: int = 0
    """Of the operator's hand."""


def main(args: Args) -> dict:
    """Print rates and differences; raises UserError where nobody can show the task."""
    require_some(args.blocks, args.calls)
    if args.contexts < 1:
        raise UserError(f"contexts is {args.contexts}; replay at least 1")
    result = measure_loops(args)
    Console().print(loops_table(result))
    for name, ratio in result["ratios"].items():
        print(f"{name} {ratio:.2f}")
    replay = result["replay"]
    print(
        f"replay of {replay['contexts']} recordings: the same success in {replay['same_success']}, "
        f"joints at the end within {replay['max_joint_error_rad']:.1e} rad"
    )
    warn_if_busy(result)
    return result


def measure_loops(args: Args) -> dict:
    """Rows, ratios and how they were obtained; the whole of the `--json` line."""
    from vdd_ros.sim import loops
    from vdd_ros.sim.env import PHYSICS_STEP_NS

    path = contract_of(args.task, args.contract)
    control_hz = round(Contract.from_yaml(path.resolve()).rates.control_hz)
    recordings = loops.record_operator(args.task, control_hz, args.contexts, args.seed)
    ours = loops.OwnLoop(args.task, control_hz)
    judged = loops.RobosuiteLoop(args.task, control_hz, judging=True)
    replay = loops.compare(
        [loops.replayed(ours, recording) for recording in recordings],
        [loops.replayed(judged, recording) for recording in recordings],
    )
    robosuites = loops.RobosuiteLoop(args.task, control_hz, judging=False)
    timed = recordings[:TIMED_RECORDINGS]
    calls = {OURS: loops.ticks(ours, timed), ROBOSUITE: loops.ticks(robosuites, timed)}
    measured = measure(calls, args.blocks, args.calls)
    return {
        "ok": replay["max_joint_error_rad"] < MOST_JOINT_ERROR
        and replay["same_success"] == replay["contexts"],
        "rows": [
            {
                "loop": name,
                "p50_us": timing.percentile_us(50),
                "ticks_per_s": 1e6 / timing.percentile_us(50),
                "calls": timing.samples_us.size,
                "blocks": len(timing.samples_us),
            }
            for name, timing in measured.timings.items()
        ],
        "ratios": {
            "rate_over_robosuite": p50_ratio(measured.timings[ROBOSUITE], measured.timings[OURS])
        },
        "replay": replay,
        "task": args.task,
        "control_hz": control_hz,
        "physics_step_ms": PHYSICS_STEP_NS / 1e6,
        **circumstances(measured, args.seed),
    }


def loops_table(result: dict) -> Table:
    """One line per loop."""
    right = [Column(heading, justify="right") for heading in ("ticks per s", "p50 us", "measured")]
    title = f"{result['task']}, one control tick of {1e3 / result['control_hz']:g} ms on one core"
    table = Table("loop", *right, title=title)
    for row in result["rows"]:
        figures = (f"{row['ticks_per_s']:.0f}", f"{row['p50_us']:.1f}", str(row["calls"]))
        table.add_row(row["loop"], *figures)
    return table
