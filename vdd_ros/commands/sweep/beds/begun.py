"""What all policies have in common on one bed with one seed, in out/BED/SEED/begin/: the net that
few-step students begin as, pairs to learn from, the exam."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from vdd_ros.commands.progress import progress
from vdd_ros.commands.sweep.beds.cost import Cost, Meter
from vdd_ros.commands.sweep.beds.facts import Place
from vdd_ros.commands.sweep.beds.plan import BEGIN, BedsPlan
from vdd_ros.durable import replace_text
from vdd_ros.policies.beds import BEDS, Bed
from vdd_ros.policies.beds.counted import CountedExact
from vdd_ros.policies.beds.distilled import NetConfig, fitted, pairs
from vdd_ros.policies.beds.exam import Exam
from vdd_ros.policies.checkpoint import load_tensors, load_weights, save_tensors
from vdd_ros.policies.denoiser import Denoiser
from vdd_ros.policies.objectives import Paired
from vdd_ros.policies.training import TrainingConfig, use_threads

NET, PAIRS, EXAM = "net.safetensors", "pairs.safetensors", "exam.safetensors"
PAIRS_COST = "pairs.json"
EXAM_SEED = 10_000  # added to a seed: exam and training share no draw


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
        counted = CountedExact(bed)
        meter = Meter(counted)
        data = pairs(bed, plan.pairs, place.seed, counted)
        cost = meter.read()
        save_tensors(folder / PAIRS, data._asdict())
        replace_text(folder / PAIRS_COST, json.dumps(cost._asdict()))
    if not (folder / EXAM).exists():
        Exam.of(bed, EXAM_SEED + place.seed).save(folder / EXAM)
    if not (folder / NET).exists():
        config = NetConfig(**plan.beds[place.bed].net)
        with progress(f"{place.part}: the net to begin with") as report:
            net = fitted(bed, config, TrainingConfig(**plan.begin, seed=place.seed), report)
        save_tensors(folder / NET, net.state_dict())
