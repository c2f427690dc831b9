"""A policy of one bed with one seed: trained, examined and kept in out/BED/SEED/NAME/, its figures
in cell.json, some chunks to be drawn in samples.npz."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vdd_ros.commands.progress import progress
from vdd_ros.commands.sweep.beds.begun import Begun
from vdd_ros.commands.sweep.beds.cost import Cost, Meter
from vdd_ros.commands.sweep.beds.facts import Place
from vdd_ros.commands.sweep.beds.plan import BedsPlan
from vdd_ros.commands.sweep.stages import hardware
from vdd_ros.durable import replace_text
from vdd_ros.policies.beds.controls import MEANS
from vdd_ros.policies.beds.counted import CountedExact
from vdd_ros.policies.beds.distilled import distilled
from vdd_ros.policies.beds.exam import (
    Answer,
    Exam,
    marks,
    of_means,
    of_mixture,
    of_sampler,
    of_student,
    shown,
)
from vdd_ros.policies.beds.mixtures import distilled_mixture
from vdd_ros.policies.moe import StudentConfig
from vdd_ros.policies.nets import count_parameters
from vdd_ros.policies.objectives.few_step import FewStep
from vdd_ros.policies.training import TrainingConfig, use_threads

CELL, SAMPLES = "cell.json", "samples.npz"


def sample_all(plan: BedsPlan, place: Place, out: Path) -> None:
    """A cell for every sampler that has none."""
    use_threads(1)
    begun = Begun.of(plan, place, out)
    left = {
        name: own
        for name, own in plan.samplers_on(*place).items()
        if not (out / place.part / name / CELL).exists()
    }
    with progress(f"{place.part}: samplers") as report:
        for done, (name, (own, config)) in enumerate(left.items()):
            net = begun.net() if own.of == "net" else None
            model = begun.bed.teacher if net is None else net
            answer = of_sampler(config, begun.bed, model, begun.exam, place.seed)
            parameters = None if net is None else count_parameters(net)
            _tell(begun, answer, out / place.part / name, Cost(), parameters)
            report(done + 1, len(left))


def work(plan: BedsPlan, place: Place, name: str, out: Path) -> None:
    """The cell of one method, unless it is there."""
    use_threads(1)
    folder = out / place.part / name
    if (folder / CELL).exists():
        return
    begun, method = Begun.of(plan, place, out), plan.every_method[name]
    if method.method == MEANS:
        _tell(begun, of_means(begun.bed, begun.exam), folder, Cost(), None)
        return
    assert method.kind is not None
    objective = method.kind(**method.objective)
    training = TrainingConfig(**plan.training_of(name, place.seed))
    counted, data = CountedExact(begun.bed), begun.data()
    answer: Callable[[Exam, int], Answer]
    meter = Meter(counted)
    with progress(f"{place.part}: {name}") as report:
        learn = (data, training, report, counted)
        if method.is_mixture:
            config = StudentConfig(**plan.student_of(name, place.bed))
            mixture = distilled_mixture(begun.bed, objective, config, *learn)
            answer, size = partial(of_mixture, mixture), count_parameters(mixture)
        else:
            assert isinstance(objective, FewStep)
            student = distilled(begun.bed, begun.net(), objective, *learn)
            answer, size = partial(of_student, objective, student), count_parameters(student)
    cost = meter.read()
    if objective.needs_samples:
        cost = cost.and_(begun.pairs_cost)
    _tell(begun, answer(begun.exam, place.seed), folder, cost, size)


def _tell(begun: Begun, answer: Answer, folder: Path, cost: Cost, parameters: int | None) -> None:
    """Write a cell, its samples first."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / SAMPLES, chunks=shown(begun.bed, begun.exam, answer.chunks))
    figures: dict[str, Any] = marks(begun.bed, begun.exam, answer)
    figures |= cost._asdict() | {"parameters": parameters, "hardware": hardware()}
    replace_text(folder / CELL, json.dumps(figures, allow_nan=False))
