"""An exam: the noise and the observations that all policies are asked on a bed, and its marks."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vdd_ros.policies.beds.bed import JUDGED, Bed
from vdd_ros.policies.beds.distilled import flow
from vdd_ros.policies.checkpoint import load_tensors, save_tensors
from vdd_ros.policies.cost import CountedTeacher
from vdd_ros.policies.denoiser import ScoreModel
from vdd_ros.policies.moe import GaussianMoE
from vdd_ros.policies.objectives import FewStep
from vdd_ros.policies.samplers import SAMPLERS, drawing
from vdd_ros.policies.teacher import SamplerConfig

EXACT = SamplerConfig("heun", 100, sigma_last=0.01)
SHOWN = 400  # samples in a picture


class Exam(NamedTuple):
    """cond: (N, 1); starts: (N, D), sigma_max N(0, I); ends: (N, D), where the exact ODE leads."""

    cond: Tensor
    starts: Tensor
    ends: Tensor

    @classmethod
    @torch.no_grad()
    def of(cls, bed: Bed, seed: int, count: int = JUDGED) -> Exam:
        """Drawn by a seed, the ODE in 100 steps of Heun's."""
        generator = torch.Generator().manual_seed(seed)
        cond = bed.observe(count, generator)
        starts = bed.noise.sigma_max * torch.randn(count, bed.dim, generator=generator)
        return cls(cond, starts, flow(bed, starts, cond, sampler=EXACT))

    def save(self, path: Path) -> None:
        save_tensors(path, self._asdict())

    @classmethod
    def load(cls, path: Path) -> Exam:
        """UserError when the file is missing or damaged."""
        return cls(**load_tensors(path))


class Answer(NamedTuple):
    """chunks: (N, D), one for each observation; nfe: network calls of one; is_map: whether each was
    to be where the ODE leads from its noise."""

    chunks: Tensor
    nfe: float
    is_map: bool


@torch.no_grad()
def of_sampler(config: SamplerConfig, bed: Bed, model: ScoreModel, exam: Exam, seed: int) -> Answer:
    """What a sampler makes of a denoiser, its calls counted."""
    sampler, counted = SAMPLERS[config.name], CountedTeacher(model)
    sigmas, draw = config.sigmas(bed.noise), drawing(torch.Generator().manual_seed(seed))
    starts = exam.starts * (float(sigmas[0]) / bed.noise.sigma_max)  # `leading` begins below it
    chunks = sampler(counted.denoise, starts, sigmas, exam.cond, draw)
    return Answer(chunks, counted.calls / len(chunks), not sampler.is_stochastic)


@torch.no_grad()
def of_student(objective: FewStep, student: torch.nn.Module, exam: Exam, seed: int) -> Answer:
    """What a network makes of noise in few calls."""
    draw = drawing(torch.Generator().manual_seed(seed))
    chunks = objective.sample(student, exam.starts, exam.cond, draw)
    return Answer(chunks, float(objective.recipe.nfe or 0), objective.is_map)


@torch.no_grad()
def of_mixture(student: GaussianMoE, exam: Exam, seed: int) -> Answer:
    """One sample each of a mixture that one call gives."""
    generator = torch.Generator().manual_seed(seed)
    return Answer(student(exam.cond).sample(1, generator)[:, 0], 1.0, False)


def of_means(bed: Bed, exam: Exam) -> Answer:
    """The mean of all chunks: what least squares make of demonstrations."""
    mixture = bed.mixture(exam.cond)
    return Answer((mixture.log_weights.exp()[..., None] * mixture.means).sum(1), 1.0, False)


def marks(bed: Bed, exam: Exam, answer: Answer) -> dict[str, float | None]:
    """The bed's figures, with the network calls."""
    ends = exam.ends if answer.is_map else None
    found = bed.figures(answer.chunks.float(), exam.cond, ends)
    return {"nfe": answer.nfe, **found}


def shown(bed: Bed, exam: Exam, chunks: Tensor) -> np.ndarray:
    """(SHOWN, D) float16: the first chunks as they would be at observation 0."""
    some = slice(SHOWN)
    return bed.turned(chunks[some].float(), exam.cond[some]).numpy().astype(np.float16)
