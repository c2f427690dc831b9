"""One bed with one seed: what students begin with, and each policy trained, examined and kept.

out/BED/SEED/begin/     the net that students begin as, pairs to learn from, the exam
out/BED/SEED/NAME/      cell.json: its figures; samples.npz: some chunks, to be drawn
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vdd_ros.commands.progress import progress
from vdd_ros.commands.sweep.beds.facts import Place
from vdd_ros.commands.sweep.beds.plan import BEGIN, BedsPlan
from vdd_ros.commands.sweep.stages import hardware
from vdd_ros.durable import replace_text
from vdd_ros.policies.beds import BEDS, Bed
from vdd_ros.policies.beds.controls import MEANS
from vdd_ros.policies.beds.distilled import NetConfig, distilled, fitted, pairs
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
from vdd_ros.policies.checkpoint import load_tensors, load_weights, save_tensors
from vdd_ros.policies.cost import CountedTeacher
from vdd_ros.policies.denoiser import Denoiser
from vdd_ros.policies.moe import StudentConfig
from vdd_ros.policies.nets import count_parameters
from vdd_ros.policies.objectives import Paired
from vdd_ros.policies.objectives.few_step import FewStepDenoiser
from vdd_ros.policies.training import TrainingConfig, use_threads

CELL, SAMPLES = "cell.json", "samples.npz"
NET, PAIRS, PAIRS_COST, EXAM = (
    "net.safetensors", "pairs.safetensors", "pairs.json", "exam.safetensors",
)  # fmt: skip
EXAM_SEED = 10_000  # added to a seed: exam and training share no draw


class Cost(NamedTuple):
    """seconds: on the wall; cpu_seconds: of the one thread's processor; teacher_calls: chunks that
    the exact teacher denoised."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    teacher_calls: int = 0

    def and_(self, other: Cost) -> Cost:
        """Of both."""
        return Cost(
            self.seconds + other.seconds,
            self.cpu_seconds + other.cpu_seconds,
            self.teacher_calls + other.teacher_calls,
        )


class Begun(NamedTuple):
    """What a place's policies share; config: of the net that students begin as; pairs_cost:
    what ends of the ODE cost."""

    bed: Bed
    folder: Path
    config: NetConfig
    exam: Exam
    pairs_cost: Cost

    @classmethod
    def of(cls, plan: BedsPlan, place: Place, out: Path) -> Begun:
        """Raises UserError where it was not made."""
        folder = out / place.part / BEGIN
        config, exam = NetConfig(**plan.beds[place.bed].net), Exam.load(folder / EXAM)
        cost = Cost(**json.loads((folder / PAIRS_COST).read_text()))
        return cls(BEDS[place.bed], folder, config, exam, cost)

    def net(self) -> Denoiser:
        """As students begin."""
        net, file = self.config.make(self.bed), self.folder / NET
        load_weights(net, load_tensors(file), file)
        return net.eval()

    def data(self) -> Paired:
        """Pairs to learn from."""
        return Paired(**load_tensors(self.folder / PAIRS))


def is_begun(folder: Path) -> bool:
    """Whether there is all that students begin with in out/BED/SEED."""
    return all((folder / BEGIN / name).exists() for name in (NET, PAIRS_COST, EXAM))


def begin(plan: BedsPlan, place: Place, out: Path) -> None:
    """Make what students begin with and what all are asked, unless it is there."""
    use_threads(1)
    folder, bed = out / place.part / BEGIN, BEDS[place.bed]
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / PAIRS_COST).exists():
        counted = CountedTeacher(bed.teacher)
        with _spent(counted) as cost:
            data = pairs(bed, plan.pairs, place.seed, counted)
        save_tensors(folder / PAIRS, data._asdict())
        replace_text(folder / PAIRS_COST, json.dumps(cost[0]._asdict()))
    if not (folder / EXAM).exists():
        Exam.of(bed, EXAM_SEED + place.seed).save(folder / EXAM)
    if not (folder / NET).exists():
        config = NetConfig(**plan.beds[place.bed].net)
        with progress(f"{place.part}: the net to begin with") as report:
            net = fitted(bed, config, TrainingConfig(**plan.begin, seed=place.seed), report)
        save_tensors(folder / NET, net.state_dict())


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
    counted, data, exam = CountedTeacher(begun.bed.teacher), begun.data(), begun.exam
    with progress(f"{place.part}: {name}") as report, _spent(counted) as cost:
        learn = (data, training, report, counted)
        if method.is_mixture:
            config = StudentConfig(**plan.student_of(name, place.bed))
            mixture = distilled_mixture(begun.bed, objective, config, *learn)
        else:
            assert isinstance(objective, FewStepDenoiser)
            student = distilled(begun.bed, begun.net(), objective, *learn)
    if method.is_mixture:
        answer, size = of_mixture(mixture, exam, place.seed), count_parameters(mixture)
    else:
        answer, size = of_student(objective, student, exam, place.seed), count_parameters(student)
    asked = objective.needs_samples or objective.needs_starts
    spent = cost[0].and_(begun.pairs_cost) if asked else cost[0]
    _tell(begun, answer, folder, spent, size)


@contextmanager
def _spent(counted: CountedTeacher) -> Iterator[list[Cost]]:
    """Gives a list that has the block's cost as its one item when the block has ended."""
    cost: list[Cost] = []
    began = time.perf_counter(), time.process_time()
    yield cost
    wall, cpu = time.perf_counter() - began[0], time.process_time() - began[1]
    cost.append(Cost(wall, cpu, counted.calls))


def _tell(begun: Begun, answer: Answer, folder: Path, cost: Cost, parameters: int | None) -> None:
    """Write a cell, its samples first."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / SAMPLES, chunks=shown(begun.bed, begun.exam, answer.chunks))
    figures: dict[str, Any] = marks(begun.bed, begun.exam, answer)
    figures |= cost._asdict() | {"parameters": parameters, "hardware": hardware()}
    replace_text(folder / CELL, json.dumps(figures, allow_nan=False))
