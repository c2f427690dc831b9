"""Measure what a policy costs per chunk, beside its teacher and beside the floor."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from rich.console import Console
from rich.table import Column, Table
from tyro.conf import arg

from vdd_ros.blas import keep_blas_to_one_thread
from vdd_ros.commands.bench import circumstances, measure, require_some, warn_if_busy
from vdd_ros.commands.bench.made import made, told
from vdd_ros.commands.bench.node_memory import measure_memory
from vdd_ros.commands.export import STUDENT_RULE
from vdd_ros.errors import UserError

NOT_ASKED_FOR: dict[str, Any] = {"pss_mb": None, "rss_mb": None, "no_memory": "not asked for"}
LARGEST_DIFFERENCE = 1e-3  # [contract unit]; beyond it two forms do not run the same policy
FLOOR_METHOD = (
    "one scipy.linalg.blas.sgemv per matrix that the student's call reads, into kept memory, all "
    "by columns or all by rows, whichever is faster; as many calls on 1 x 1 matrices are subtracted"
)
# what ratios ought to be at least, or at most
AT_LEAST = {"teacher10_over_student_p50": 20.0, "teacher100_over_student_p50": 150.0}
AT_MOST = {"student_over_floor_p50": 1.3}
MOST_MB = 120.0  # of the action node while it drives, its share of pages that others have as well


@dataclass(frozen=True)
class Args:
    teacher: Annotated[Path | None, arg(metavar="RUN")] = None
    """Folder of the teacher's run; without it and a student small ones are made."""
    student: Annotated[Path | None, arg(metavar="RUN")] = None
    """Folder of a student distilled from it."""
    others: tuple[Path, ...] = ()
    """Folders of other students of the same teacher, to be timed beside it."""
    blocks: int = 20
    """Blocks in which all variants take turns; ratios are medians over them."""
    calls: int = 250
    """Calls per variant and block; a 25th of it for those slower than 5 ms."""
    seed: int = 0
    """Of the observation and the noise that are given to all variants."""
    compile: bool = True
    """Also what torch.compile makes of the student; it takes half a minute and a C++ compiler."""
    memory: bool = True
    """Also what the action node needs while it drives, over ROS with a robot that only obeys."""


def main(args: Args) -> dict:
    """Print the latencies; raises UserError where a run cannot be read."""
    require_some(args.blocks, args.calls)
    result = measure_latency(*_runs(args), args)
    console = Console()
    console.print(latency_table(result["rows"]))
    for name, ratio in result["ratios"].items():
        print(f"{name} {ratio:.2f}{_goal(result['goals'].get(name))}")
    for row in result.get("memory", ()):
        told = f"{row['pss_mb']:.0f} MB PSS, {row['rss_mb']:.0f} MB resident"
        print(f"action node with {row['runtime']}: {told}")
    for what, why in result["missing"].items():
        print(f"{what}: {why}")
    parameters = result["parameters"]
    print(f"parameters: student {parameters['student']}, teacher {parameters['teacher']}")
    print(f"largest difference between forms of one policy: {result['largest_difference']:.1e}")
    if not parameters["comparable"]:
        print("the student is not 0.8 to 1.0 times as large as the teacher: compare no latencies")
    warn_if_busy(result)
    return result


def _runs(args: Args) -> tuple[Path, Path]:
    """Of a teacher and its student: those that are named, or small ones."""
    if args.teacher is not None and args.student is not None:
        return args.teacher, args.student
    if args.teacher is not None or args.student is not None or args.others:
        raise UserError("name both runs, --teacher and --student; or none, and small ones are made")
    policy = made()
    return policy.teacher_run, policy.student_run


def measure_latency(teacher_folder: Path, student_folder: Path, args: Args) -> dict:
    """Rows, ratios and how they were obtained; the whole of the `--json` line."""
    import torch

    from vdd_ros.policies import latency
    from vdd_ros.policies.runs import load_student, load_teacher

    torch.set_num_threads(1)
    teacher, student = load_teacher(teacher_folder), load_student(student_folder)
    others = [load_student(folder) for folder in args.others]
    ways = latency.ways_to_a_chunk(
        teacher,
        student,
        others,
        STUDENT_RULE.draws,
        np.random.default_rng(args.seed),
        args.compile,
    )
    keep_blas_to_one_thread()
    difference = latency.largest_difference(ways)
    measured = measure(ways.calls, args.blocks, args.calls)
    ratios, best_forms = latency.ratios_of(measured.timings)
    parameters = latency.parameters_of(teacher.denoiser, student.moe)
    memory = measure_memory(teacher_folder, student_folder) if args.memory else dict(NOT_ASKED_FOR)
    missing: dict[str, str] = dict(ways.missing)
    if "no_memory" in memory:
        missing["memory of the action node"] = memory.pop("no_memory")
    return {
        "ok": parameters["comparable"] and difference < LARGEST_DIFFERENCE,
        "rows": latency.rows_of(measured.timings),
        "ratios": ratios,
        "best_forms": best_forms,
        "goals": goals_of(ratios, memory["pss_mb"]),
        **memory,
        "missing": missing,
        "parameters": parameters,
        "policy": told(args.teacher is not None),
        "largest_difference": difference,
        "floor": {"weights": ways.floor_weights, "method": FLOOR_METHOD},
        **circumstances(measured, args.seed),
    }


def goals_of(ratios: dict[str, float], pss_mb: float | None) -> dict[str, dict]:
    """Of each figure that has a goal: its value, its bound, and whether it was reached; None where
    it was not measured."""
    goals: dict[str, dict] = {}
    for name, bound in (AT_LEAST | AT_MOST).items():
        reached = ratios[name] >= bound if name in AT_LEAST else ratios[name] <= bound
        side = "at least" if name in AT_LEAST else "at most"
        goals[name] = {"value": ratios[name], side: bound, "reached": reached}
    is_small = None if pss_mb is None else pss_mb < MOST_MB
    goals["pss_mb"] = {"value": pss_mb, "at most": MOST_MB, "reached": is_small}
    return goals


def _goal(goal: dict | None) -> str:
    """What stands behind a figure that has a goal."""
    if goal is None:
        return ""
    side = "at least" if "at least" in goal else "at most"
    return f" (goal: {side} {goal[side]:g}, {'reached' if goal['reached'] else 'missed'})"


def latency_table(rows: list[dict]) -> Table:
    """One line per way, in the order measured."""
    headings = ("network calls", "p50 us", "p99 us", "p99.9 us", "measured")
    right = [Column(heading, justify="right") for heading in headings]
    table = Table("policy", "form", *right, title="one chunk, one pinned thread")
    for row in rows:
        times = (f"{row[f'p{name}_us']:.1f}" for name in ("50", "99", "999"))
        figures = (*times, str(row["calls"]))
        table.add_row(row["policy"], row["form"], str(row["network_calls"]), *figures)
    return table
