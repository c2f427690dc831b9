"""Measure what `vdd` costs until it is as close to its teacher as `vdd-paper` is in the end.

Both are distilled from one teacher with the same student and training, one after the other. At
checkpoints the averaged student is judged by its energy distance to the teacher on held-out
windows. Wall seconds and teacher calls are counted, judging is not. Samples of the teacher are
drawn anew for a method that reads them, and drawing them counts. Measure on a quiet machine.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from rich.console import Console
from rich.table import Column, Table
from tyro.conf import arg

from vdd_ros.commands.bench import origin, warn_if_busy
from vdd_ros.commands.bench.made import made, told
from vdd_ros.commands.distill import TRAINING
from vdd_ros.commands.progress import progress
from vdd_ros.errors import UserError
from vdd_ros.policies.cost import Checkpoint, Setup, cost_curve, cost_ratios, first_as_close
from vdd_ros.policies.judge import Judge, JudgeConfig
from vdd_ros.policies.moe import StudentConfig
from vdd_ros.policies.objectives import Vdd, VddPaper
from vdd_ros.policies.pool import PoolConfig
from vdd_ros.policies.runs import load_teacher
from vdd_ros.policies.teacher import SamplerConfig
from vdd_ros.policies.training import TrainingConfig, use_threads

OURS, PAPER = "vdd", "vdd-paper"
LARGEST_RATIO = 0.5  # of what vdd-paper spends


@dataclass(frozen=True)
class Args:
    run: Annotated[Path | None, arg(metavar="RUN")] = None
    """Folder of the teacher's run; without one a small teacher is made."""
    every: int = 250
    """Steps between checkpoints, a multiple of 50."""
    plot: Path | None = None
    """PNG to write: energy distance over wall seconds and over teacher calls."""
    threads: int = 2
    """Processor threads."""
    pool: PoolConfig = field(default_factory=PoolConfig)
    """Observations to distil on."""
    student: StudentConfig = field(default_factory=StudentConfig)
    allow_larger: bool = False
    """Distil also into a student of more parameters than its teacher."""
    vdd: Vdd = field(default_factory=Vdd)
    vdd_paper: VddPaper = field(default_factory=VddPaper)
    sampler: SamplerConfig = field(default_factory=SamplerConfig)
    """How the teacher is sampled to be learned from."""
    judge: JudgeConfig = field(default_factory=JudgeConfig)
    """How students are judged."""
    training: TrainingConfig = TRAINING


def main(args: Args) -> dict:
    """Print what was spent at every checkpoint; raises UserError where the run cannot be read."""
    use_threads(args.threads)
    if args.plot is not None:
        _require_place(args.plot)
    result = measure_cost(args)
    Console().print(cost_table(result["methods"]))
    print(_verdict(result))
    warn_if_busy(result)
    if args.plot is not None:
        from vdd_ros.commands.bench.pictures import cost_picture

        args.plot.write_bytes(cost_picture(result))
    return result


def measure_cost(args: Args) -> dict:
    """Curves, ratios and how they were obtained; the whole of the `--json` line."""
    # ours first: what a process does only once, such as loading libraries, is at its cost
    objectives = {OURS: args.vdd, PAPER: args.vdd_paper}
    setup = Setup(
        args.student, args.training, args.every, args.pool, args.sampler, args.allow_larger
    )
    teacher = load_teacher(args.run or made().teacher_run)
    judge = Judge(teacher, args.judge)
    curves: dict[str, list[Checkpoint]] = {}
    began = time.process_time(), time.perf_counter()
    for name, objective in objectives.items():
        with progress(f"distilling {name}") as report:
            curves[name] = cost_curve(teacher, judge, objective, setup, report)
    cpu, wall = time.process_time() - began[0], time.perf_counter() - began[1]
    whole = curves[PAPER][-1]
    there = first_as_close(curves[OURS], whole.energy_distance)
    ratios = cost_ratios(there, whole)
    return {
        "methods": {name: [one._asdict() for one in curve] for name, curve in curves.items()},
        "energy_distance": whole.energy_distance,
        "energy_floor": judge.of_teacher()["energy_floor"],
        "reached_at": None if there is None else there._asdict(),
        "ratios": ratios,
        "wanted": LARGEST_RATIO,
        "goal_reached": all(
            ratio is not None and ratio <= LARGEST_RATIO for ratio in ratios.values()
        ),
        "policy": told(args.run is not None),
        "threads": args.threads,
        "cpu_share": cpu / wall,  # quiet: one at least, as one thread or more always works
        **origin(args.training.seed),
    }


def cost_table(methods: dict[str, list[dict]]) -> Table:
    """One line per checkpoint, both methods side by side."""
    headings = [f"{name}\n{what}" for name in methods for what in ("s", "calls", "distance")]
    right = [Column(heading, justify="right") for heading in ("step", *headings)]
    table = Table(*right, title="seconds and teacher calls so far, energy distance to the teacher")
    for checkpoints in zip(*methods.values(), strict=True):
        cells = [cell for checkpoint in checkpoints for cell in _cells(checkpoint)]
        table.add_row(str(checkpoints[0]["step"]), *cells)
    return table


def _cells(checkpoint: dict) -> tuple[str, str, str]:
    seconds, calls = checkpoint["seconds"], checkpoint["teacher_calls"]
    return f"{seconds:.1f}", f"{calls:,}", f"{checkpoint['energy_distance']:.4f}"


def _verdict(result: dict) -> str:
    """In one sentence."""
    aim = f"{PAPER}'s final energy distance, {result['energy_distance']:.4f}"
    there, ratios = result["reached_at"], result["ratios"]
    if there is None:
        return f"{OURS} never came to {aim}: goal missed"
    return (
        f"{OURS} came to {aim}, by step {there['step']}, with {ratios['seconds']:.2f} of its wall "
        f"seconds and {ratios['teacher_calls']:.2f} of its teacher calls: goal of at most "
        f"{result['wanted']:g} each {'reached' if result['goal_reached'] else 'missed'}"
    )


def _require_place(path: Path) -> None:
    """Raise UserError where no picture can be written, before hours are spent on it."""
    if path.is_dir():
        raise UserError(f"{path} is a folder; name a PNG to write with --plot")
    path.parent.mkdir(parents=True, exist_ok=True)
