"""Measure this machine: what a policy costs per chunk, beside its teacher and beside the floor."""

from __future__ import annotations

import os
import platform
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from rich.console import Console
from rich.table import Column, Table
from tyro.conf import Positional, arg

from vdd_ros.commands.export import STUDENT_RULE
from vdd_ros.errors import UserError
from vdd_ros.timing import in_turns, pinned_to_one_core

LARGEST_DIFFERENCE = 1e-3  # [contract unit]; beyond it two forms do not run the same policy
QUIET = 0.95  # share of the wall time that the measuring thread had the core
FLOOR_METHOD = (
    "one scipy.linalg.blas.sgemv per matrix that the student's graph multiplies by, column-major, "
    "into kept memory; as many calls on 1 x 1 matrices are subtracted"
)


@dataclass(frozen=True)
class Args:
    name: Positional[Literal["latency"]]
    """What to measure."""
    teacher: Annotated[Path, arg(metavar="RUN")]
    """Folder of the teacher's run."""
    student: Annotated[Path, arg(metavar="RUN")]
    """Folder of a student distilled from it."""
    others: tuple[Path, ...] = ()
    """Folders of other students of the same teacher, to be timed beside it."""
    blocks: int = 20
    """Blocks in which all variants take turns; ratios are medians over them."""
    calls: int = 250
    """Calls per variant and block; a 25th of it for those slower than 5 ms."""
    seed: int = 0
    """Of the observation and the noise that are given to all variants."""


def main(args: Args) -> dict:
    """Print the latencies; raises UserError where a run cannot be read."""
    if args.blocks < 1 or args.calls < 1:
        raise UserError(f"{args.blocks} blocks of {args.calls} calls: write 1 or more of each")
    result = measure_latency(args)
    console = Console()
    console.print(latency_table(result["rows"]))
    for name, ratio in result["ratios"].items():
        print(f"{name} {ratio:.2f}")
    parameters = result["parameters"]
    print(f"parameters: student {parameters['student']}, teacher {parameters['teacher']}")
    print(f"largest difference between forms of one policy: {result['largest_difference']:.1e}")
    if not parameters["comparable"]:
        print("the student is not 0.8 to 1.0 times as large as the teacher: compare no latencies")
    if result["cpu_share"] < QUIET:
        print(
            f"other programs had the core {1 - result['cpu_share']:.0%} of the time, which makes "
            "long calls look longer: measure again on a quiet machine"
        )
    return result


def measure_latency(args: Args) -> dict:
    """Rows, ratios and how they were obtained; the whole of the `--json` line."""
    import torch

    from vdd_ros.policies import latency
    from vdd_ros.policies.learn import load_student, load_teacher

    torch.set_num_threads(1)
    teacher, student = load_teacher(args.teacher), load_student(args.student)
    others = [load_student(folder) for folder in args.others]
    ways = latency.ways_to_a_chunk(
        teacher, student, others, STUDENT_RULE.draws, np.random.default_rng(args.seed)
    )
    difference = latency.largest_difference(ways)
    with pinned_to_one_core() as core:
        began = np.array([time.thread_time_ns(), time.perf_counter_ns()])
        timings = in_turns(ways.calls, time.perf_counter_ns, args.blocks, args.calls)
        cpu_ns, wall_ns = np.array([time.thread_time_ns(), time.perf_counter_ns()]) - began
    ratios, best_forms = latency.ratios_of(timings)
    parameters = latency.parameters_of(teacher.denoiser, student.moe)
    return {
        "ok": parameters["comparable"] and difference < LARGEST_DIFFERENCE,
        "rows": latency.rows_of(timings),
        "ratios": ratios,
        "best_forms": best_forms,
        "parameters": parameters,
        "largest_difference": difference,
        "floor": {"weights": ways.floor_weights, "method": FLOOR_METHOD},
        "threads": 1,
        "pinned_core": core,
        "cpu_share": float(cpu_ns / wall_ns),
        "hardware": f"{processor()}, {os.cpu_count()} cores",
        "seed": args.seed,
        "command": " ".join(["vdd", *sys.argv[1:]]),
    }


def processor() -> str:
    """The processor's name as the system gives it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()  # ARM names its parts by number only


def latency_table(rows: list[dict]) -> Table:
    """One line per way, in the order measured."""
    headings = ("network calls", "p50 us", "p99 us", "measured")
    right = [Column(heading, justify="right") for heading in headings]
    table = Table("policy", "form", *right, title="one chunk, one pinned thread")
    for row in rows:
        figures = (f"{row['p50_us']:.1f}", f"{row['p99_us']:.1f}", str(row["calls"]))
        table.add_row(row["policy"], row["form"], str(row["network_calls"]), *figures)
    return table
