"""Measure whether students come nearer to their teacher when chunks are compared in other spaces.

Students differ in nothing but the space and the seed. Each is asked at held-out observations from
noise whose ends of the teacher's ODE are known: how far is its tool along the chunk? Seconds are of
the processor, for the training alone. A measurement that was broken off is taken up.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import numpy as np
from rich.console import Console
from rich.table import Table

from vdd_ros.commands.bench import origin
from vdd_ros.commands.bench.made import made
from vdd_ros.commands.config_files import config_file
from vdd_ros.commands.distill import TRAINING
from vdd_ros.commands.progress import progress
from vdd_ros.contract_parts import Kinematics as Model
from vdd_ros.durable import replace_text
from vdd_ros.errors import UserError
from vdd_ros.policies.distil_few_step import distil_few_step
from vdd_ros.policies.judge import Judge, JudgeConfig
from vdd_ros.policies.map_errors import MapErrors
from vdd_ros.policies.objectives import Objective
from vdd_ros.policies.objectives.compared import Compared, SpaceName
from vdd_ros.policies.objectives.settings import objective_of
from vdd_ros.policies.pool import PoolConfig, paired_pool
from vdd_ros.policies.runs import FewStepStudent, Teacher, load_teacher
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
    run: Path | None = None
    """Folder of the teacher's run; without one a small teacher is made."""
    kinematics: Path = Path("config/kinematics/panda_tools.yaml")
    """How joints move the tool."""
    out: Path | None = None
    """File of a JSON line for each student; those in it already are not made again."""
    methods: tuple[str, ...] = ("kd", "cd")
    spaces: tuple[SpaceName, ...] = get_args(SpaceName)
    seeds: tuple[int, ...] = (0, 1, 2)
    threads: int = 1
    """Processor threads."""
    pool: PoolConfig = field(default_factory=lambda: PoolConfig(size=20_000))
    judge: JudgeConfig = field(default_factory=lambda: JudgeConfig(100, 20, 128))
    """How distributions are judged."""
    training: TrainingConfig = replace(TRAINING, steps=2000)


def main(args: Args) -> dict:
    """Print means over seeds; raises UserError for a method that compares no chunks."""
    use_threads(args.threads)
    for method in args.methods:
        if not isinstance(objective_of(method, {}), Compared):
            raise UserError(f"{method} compares no chunks: take kd or cd")
    cells = _known(args.out)
    done = {_what(one) for one in cells}
    teacher = load_teacher(args.run or made().teacher_run)
    model = read_model(config_file(args.kinematics))
    errors, judge = MapErrors(teacher, model), Judge(teacher, args.judge)
    for seed, method, space in product(args.seeds, args.methods, args.spaces):
        cell = {"method": method, "space": space, "seed": seed, "steps": args.training.steps}
        if _what(cell) in done:
            continue
        objective = objective_of(method, {"space": space}, teacher.config)
        student, seconds = _distilled(args, teacher, model, method, objective, seed)
        figures = judge.of_student(student)
        cell |= errors.of(student)
        cell |= {name: figures[name] for name in ("energy_distance", "off_support")}
        cells.append(cell | {"cpu_seconds": round(seconds, 1), **origin(seed)})
        if args.out is not None:
            lines = (json.dumps(one, allow_nan=False) + "\n" for one in cells)
            replace_text(args.out, "".join(lines))
    Console().print(_table(cells))
    return {"rows": cells}


def _distilled(
    args: Args, teacher: Teacher, model: Model, method: str, objective: Objective, seed: int
) -> tuple[FewStepStudent, float]:
    """A student and the processor time [s] of its training; what is made once for all students is
    made before."""
    assert isinstance(objective, Compared)
    training = replace(args.training, seed=seed)
    compared_in_space(objective, teacher, model)
    if objective.needs_starts:
        paired_pool(teacher, args.pool, SamplerConfig(), objective.noise, seed)
    name = f"{method} in {objective.space}"
    with TemporaryDirectory() as folder, progress(name) as report:
        began = time.process_time()
        student = distil_few_step(
            teacher, Path(folder), method, training, objective, args.pool,
            report=report, kinematics=model,
        )  # fmt: skip
        return student, time.process_time() - began


def _known(path: Path | None) -> list[dict]:
    if path is None or not path.exists():
        return []
    try:
        cells = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        _table(cells)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} holds no cells ({error}): name another --out") from None
    return cells


def _what(cell: dict) -> tuple:
    return cell["steps"], cell["method"], cell["space"], cell["seed"]


def _table(cells: list[dict]) -> Table:
    table = Table("steps", "method", "space", *SHOWN)
    for kind in dict.fromkeys(_what(one)[:-1] for one in cells):
        rows = [one for one in cells if _what(one)[:-1] == kind]
        means = [float(np.mean([one[name] for one in rows])) for name in SHOWN]
        table.add_row(*map(str, kind), *(f"{mean:.4g}" for mean in means))
    return table
