"""Measure whether students come nearer to their teacher when chunks are compared in other spaces.

Students differ in nothing but the space and the seed. Each is asked at held-out observations from
noise whose ends of the teacher's ODE are known: how far is its tool along the chunk? Seconds are of
the processor, for the training alone. A measurement that was broken off is taken up.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import numpy as np
from rich.console import Console
from rich.table import Table

from vdd_ros.commands.bench import origin
from vdd_ros.commands.distill import TRAINING
from vdd_ros.commands.progress import progress
from vdd_ros.durable import replace_text
from vdd_ros.errors import UserError
from vdd_ros.policies.distil_few_step import distil_few_step
from vdd_ros.policies.judge import Judge, JudgeConfig
from vdd_ros.policies.map_errors import MapErrors
from vdd_ros.policies.objectives.compared import Compared, SpaceName
from vdd_ros.policies.objectives.settings import objective_of
from vdd_ros.policies.pool import PoolConfig, paired_pool
from vdd_ros.policies.runs import load_teacher
from vdd_ros.policies.spaces import compared_in_space
from vdd_ros.policies.teacher import SamplerConfig
from vdd_ros.policies.training import TrainingConfig, use_threads
from vdd_ros.teleop.cartesian import read_model

SHOWN = (
    "tool_mm",
    "tool_deg",
    "joints_rms",
    "prmse",
    "energy_distance",
    "off_support",
    "cpu_seconds",
)


@dataclass(frozen=True)
class Args:
    run: Path
    """Folder of the teacher's run."""
    kinematics: Path
    """How joints move the tool, a file as in config/kinematics."""
    out: Path | None = None
    """File of a JSON line for each student; those in it already are not made again."""
    methods: tuple[str, ...] = ("kd", "cd")
    spaces: tuple[SpaceName, ...] = get_args(SpaceName)
    seeds: tuple[int, ...] = (0, 1, 2)
    share: float = 0.9
    """Of a distance, that is of the space."""
    threads: int = 1
    """Processor threads."""
    pool: PoolConfig = field(default_factory=lambda: PoolConfig(size=20_000))
    judge: JudgeConfig = field(default_factory=lambda: JudgeConfig(100, 20, 128))
    """How distributions are judged."""
    training: TrainingConfig = replace(TRAINING, steps=2000)


def main(args: Args) -> dict:
    """Print means over seeds; raises UserError for a method that compares no chunks, and for a file
    of students that were trained for longer or shorter."""
    use_threads(args.threads)
    for method in args.methods:
        if not isinstance(objective_of(method, {}), Compared):
            raise UserError(f"{method} compares no chunks: take kd or cd")
    cells = _known(args.out, args.training.steps)
    teacher, model = load_teacher(args.run), read_model(args.kinematics)
    errors, judge = MapErrors(teacher, model), Judge(teacher, args.judge)
    done = {(one["method"], one["space"], one["seed"]) for one in cells}
    for seed in args.seeds:
        for method in args.methods:
            for space in args.spaces:
                if (method, space, seed) in done:
                    continue
                given = {"space": space, "share": args.share}
                objective = objective_of(method, given, teacher.config)
                assert isinstance(objective, Compared)
                training = replace(args.training, seed=seed)
                compared_in_space(objective, teacher, model)  # what is made once is no space's cost
                if objective.needs_starts:
                    paired_pool(teacher, args.pool, SamplerConfig(), objective.noise, seed)
                with TemporaryDirectory() as folder, progress(f"{method} in {space}") as report:
                    began = time.process_time()
                    student = distil_few_step(
                        teacher, Path(folder), method, training, objective, args.pool,
                        report=report, kinematics=model,
                    )  # fmt: skip
                    seconds = time.process_time() - began
                figures = judge.of_student(student)
                cells.append(
                    {"method": method, "space": space, "seed": seed, "steps": training.steps}
                    | errors.of(student)
                    | {name: figures[name] for name in ("energy_distance", "off_support")}
                    | {"cpu_seconds": round(seconds, 1), **origin(seed)}
                )
                if args.out is not None:
                    lines = (json.dumps(cell, allow_nan=False) + "\n" for cell in cells)
                    replace_text(args.out, "".join(lines))
    Console().print(_table(cells))
    return {"rows": cells}


def _known(path: Path | None, steps: int) -> list[dict]:
    if path is None or not path.exists():
        return []
    try:
        cells = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        others = {one["steps"] for one in cells} - {steps}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} holds no cells ({error}): name another --out") from None
    if others:
        raise UserError(
            f"{path} is of students that were trained for {min(others)} steps, and not {steps}: "
            "name another --out"
        )
    return cells


def _table(cells: list[dict]) -> Table:
    table = Table("method", "space", *SHOWN)
    for method, space in dict.fromkeys((one["method"], one["space"]) for one in cells):
        rows = [one for one in cells if (one["method"], one["space"]) == (method, space)]
        means = [float(np.mean([one[name] for one in rows])) for name in SHOWN]
        table.add_row(method, space, *(f"{mean:.4g}" for mean in means))
    return table
