"""Judge students against their teacher and held-out people: NLL, energy distance, support."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from vdd_ros.commands.progress import progress
from vdd_ros.durable import write_text
from vdd_ros.policies.baselines import BASELINES
from vdd_ros.policies.checkpoint import checkpoint_hash
from vdd_ros.policies.judge import JudgeConfig, judged
from vdd_ros.policies.runs import load_any_student, load_teacher
from vdd_ros.policies.training import use_threads


@dataclass(frozen=True)
class Args:
    teacher: Path
    """Run folder of the teacher."""
    students: tuple[Path, ...] = ()
    """Run folders of its students."""
    baselines: bool = False
    """Also judge what needs no network: linear-Gaussian, nearest neighbours, hold-last."""
    out: Path | None = None
    """Folder for one <policy>.json each; nothing is written if not given."""
    threads: int = 2
    """Processor threads."""
    judge: JudgeConfig = field(default_factory=JudgeConfig)


def main(args: Args) -> dict:
    """Print the figures as a table; METRICS in docs/metrics.md defines each."""
    use_threads(args.threads)
    teacher = load_teacher(args.teacher)
    students = {folder.name: load_any_student(folder) for folder in args.students}
    runs = {folder.name: checkpoint_hash(folder) for folder in args.students}
    teacher_hash = checkpoint_hash(args.teacher)
    baselines = tuple(BASELINES) if args.baselines else ()
    with progress("judging") as report:
        results = judged(teacher, students, baselines, args.judge, report)
    runs |= dict.fromkeys(("teacher", "teacher-1"), teacher_hash)
    for name in results.keys() & runs:  # so that a certificate takes no other run's figures
        results[name] |= {"run_hash": runs[name], "teacher_hash": teacher_hash}
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
        for name, figures in results.items():
            write_text(args.out / f"{name}.json", json.dumps(figures, indent=2))
    Console().print(_table(results))
    return {"policies": results}


def _table(results: dict[str, dict]) -> Table:
    columns = (
        "nll",
        "energy_distance",
        "energy_floor",
        "sliced_w2",
        "off_support",
        "off_support_means",
    )
    table = Table("policy", *columns)
    for name, figures in results.items():
        cells = [figures.get(column) for column in columns]
        table.add_row(name, *("–" if cell is None else f"{cell:.4g}" for cell in cells))
    return table
