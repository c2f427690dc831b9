"""Trained teachers and distilled students as they lie in folders, and what they learned from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.normalizer import Normalizer
from vdd_ros.policies.baselines import Fitted
from vdd_ros.policies.checkpoint import (
    Run,
    checkpoint_hash,
    described,
    load_run,
    load_weights,
)
from vdd_ros.policies.denoiser import Denoiser
from vdd_ros.policies.encoder import Encoder
from vdd_ros.policies.examples import (
    Examples,
    RowsOnDisk,
    columns,
    examples_file,
    to_examples,
)
from vdd_ros.policies.imported import ImportedConfig, make_imported
from vdd_ros.policies.moe import GaussianMoE, StudentConfig
from vdd_ros.policies.nets import NetSizes
from vdd_ros.policies.noise import NoiseConfig
from vdd_ros.policies.objectives import FEW_STEP, OBJECTIVES, FewStep
from vdd_ros.policies.objectives.settings import objective_of
from vdd_ros.policies.samplers import drawing
from vdd_ros.policies.sighted import (
    ENCODER,
    NET,
    encoder_config,
    features_in,
    part_of,
    with_features,
)
from vdd_ros.policies.stored_windows import open_windows
from vdd_ros.policies.teacher import TeacherConfig, make_teacher
from vdd_ros.policies.windows import Windows

MOST = 500_000  # windows that something is fitted on without a network
ROWS = 512  # sampled at a time, few enough to stay in a processor's cache


@dataclass(frozen=True)
class Teacher:
    """A trained teacher; notes: names of the episodes it was trained on and of those held out;
    encoder: of images, where its contract has some."""

    folder: Path
    contract: Contract
    config: TeacherConfig | ImportedConfig
    normalizer: Normalizer
    denoiser: Denoiser
    notes: dict
    encoder: Encoder | None = None

    @property
    def notes_of_students(self) -> dict:
        """Its own, and which teacher it is."""
        return self.notes | {"teacher_hash": checkpoint_hash(self.folder)}

    @property
    def sizes(self) -> NetSizes:
        """Of networks that are told what this one is told."""
        return sizes_of(self.normalizer, self.encoder)


@dataclass(frozen=True)
class Student:
    """A distilled student that is a mixture; notes: its teacher's."""

    folder: Path
    contract: Contract
    method: str
    config: StudentConfig
    normalizer: Normalizer
    moe: GaussianMoE
    notes: dict
    encoder: Encoder | None = None


@dataclass(frozen=True)
class FewStepStudent:
    """A distilled student that makes a chunk of noise; notes: its teacher's."""

    folder: Path
    contract: Contract
    method: str
    objective: FewStep
    normalizer: Normalizer
    net: nn.Module
    notes: dict
    encoder: Encoder | None = None

    @property
    def nfe(self) -> int | None:
        """Network evaluations per chunk."""
        return self.objective.recipe.nfe

    @torch.no_grad()
    def sample(self, cond: Tensor, generator: torch.Generator) -> Tensor:
        """(N, C) -> (N, R): one chunk per row, in normalised units."""
        dim, sigma = self.normalizer.sizes[-1], self.objective.sigma_max
        chunks = []
        for rows in cond.split(ROWS):
            starts = sigma * torch.randn(len(rows), dim, generator=generator)
            chunks.append(self.objective.sample(self.net, starts, rows, drawing(generator)))
        return torch.cat(chunks)


AnyStudent = Student | FewStepStudent


class WindowTensors(NamedTuple):
    """cond: (N, C) features; chunks: (N, R) as demonstrated, normalised; windows: as recorded."""

    cond: Tensor
    chunks: Tensor
    windows: Windows


def load_teacher(folder: str | Path) -> Teacher:
    """Read a teacher run; raises UserError when it is missing, damaged or something else."""
    run, weights = load_run(folder, "teacher")
    with described(folder, "train anew"):
        config = _teacher_config(run)
        encoder, weights = _with_eyes(run, weights, folder)
        denoiser = _untrained(config, run, encoder)
        load_weights(denoiser, weights, folder)
    parts = (run.contract, config, run.normalizer, denoiser.eval(), run.notes, encoder)
    return Teacher(Path(folder), *parts)


def _with_eyes(
    run: Run, weights: dict[str, Tensor], folder: str | Path
) -> tuple[Encoder | None, dict[str, Tensor]]:
    """The encoder of a run, if it sees images, and the weights of all else."""
    config = encoder_config(run)
    if config is None:
        return None, weights
    encoder = Encoder(config, run.contract)
    load_weights(encoder, part_of(weights, ENCODER), folder)
    return encoder.eval(), part_of(weights, NET)


def sizes_of(normalizer: Normalizer, encoder: Encoder | None) -> NetSizes:
    """Of networks that are told an observation, and what an encoder makes of its images."""
    return NetSizes(*normalizer.sizes) if encoder is None else encoder.sizes(normalizer)


def load_student(folder: str | Path) -> Student:
    """Read the run of a mixture; raises UserError when it is missing, damaged or something else."""
    student = load_any_student(folder)
    if isinstance(student, FewStepStudent):
        raise UserError(
            f"{folder} is a student by {student.method}, which makes a chunk of noise and has no "
            f"density: name a mixture, by {', '.join(OBJECTIVES)}"
        )
    return student


def load_any_student(folder: str | Path) -> AnyStudent:
    """Read a student run; raises UserError when it is missing, damaged or something else."""
    run, weights = load_run(folder, "student")
    read = _few_step if run.configs.get("method") in FEW_STEP else _mixture
    with described(folder, "distil anew"):
        return read(Path(folder), run, weights)


def _mixture(folder: Path, run: Run, weights: dict[str, Tensor]) -> Student:
    config = StudentConfig(**run.configs["student"])
    encoder, weights = _with_eyes(run, weights, folder)
    moe = GaussianMoE(config, *sizes_of(run.normalizer, encoder))
    load_weights(moe, weights, folder)
    parts = (run.configs["method"], config, run.normalizer, moe.eval(), run.notes, encoder)
    return Student(folder, run.contract, *parts)


def _few_step(folder: Path, run: Run, weights: dict[str, Tensor]) -> FewStepStudent:
    method = run.configs["method"]
    try:
        objective = objective_of(method, run.configs["objective"])
    except UserError as error:
        raise ValueError(str(error)) from None
    assert isinstance(objective, FewStep)
    encoder, weights = _with_eyes(run, weights, folder)
    net = objective.student(_untrained(_teacher_config(run), run, encoder))
    load_weights(net, weights, folder)
    parts = (method, objective, run.normalizer, net.eval(), run.notes, encoder)
    return FewStepStudent(folder, run.contract, *parts)


def _untrained(
    config: TeacherConfig | ImportedConfig, run: Run, encoder: Encoder | None
) -> Denoiser:
    if isinstance(config, ImportedConfig):
        return make_imported(config, *run.normalizer.sizes)
    return make_teacher(config, *sizes_of(run.normalizer, encoder))


def _teacher_config(run: Run) -> TeacherConfig | ImportedConfig:
    raw = run.configs["teacher"]
    if "layout" in raw:
        return ImportedConfig.from_dict(raw)
    return TeacherConfig(**raw | {"noise": NoiseConfig(**raw["noise"])})


def load_windows(teacher: Teacher, held_out: bool) -> Windows:
    """The windows a teacher was trained on, or those it never saw, in memory."""
    return open_windows(teacher.folder, held_out).all()


def training_examples(teacher: Teacher) -> tuple[Examples, np.ndarray]:
    """What a teacher was trained on, and (N,) the episode that each example is of; what training
    had on disk is read there. Where it sees images, cond ends with what its encoder made of them.
    """
    stored = open_windows(teacher.folder, held_out=False)
    path = examples_file(teacher.normalizer, teacher.folder)
    if path.exists():
        data = columns(RowsOnDisk(path), *teacher.normalizer.sizes[1:])
    else:
        data = to_examples(teacher.normalizer, stored.all())
    if teacher.encoder is not None:
        data = with_features(data, features_in(teacher.folder, teacher.encoder))
    return data, stored.episode


def training_data(teacher: Teacher) -> Fitted:
    """What a teacher was trained on, for what is fitted without a network, and sees no images; of
    more than MOST windows so many, evenly spaced."""
    windows = open_windows(teacher.folder, held_out=False).at_most(MOST)
    return Fitted(teacher.normalizer, *to_examples(teacher.normalizer, windows), windows)


def to_tensors(
    normalizer: Normalizer, windows: Windows, encoder: Encoder | None = None
) -> WindowTensors:
    """Windows in the network's units, float32; with an encoder, what they see as well."""
    data = to_examples(normalizer, windows)
    if encoder is not None:
        assert windows.pictures is not None
        data = with_features(data, encoder.of(windows.pictures))
    return WindowTensors(*data, windows)
