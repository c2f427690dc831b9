"""The pool: what a student is distilled on, observations with one teacher sample each."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import torch
from torch import Tensor

from vdd_ros.errors import UserError
from vdd_ros.policies import distributed
from vdd_ros.policies.checkpoint import fingerprint, load_tensors, save_tensors
from vdd_ros.policies.denoiser import ScoreModel
from vdd_ros.policies.objectives import Batch
from vdd_ros.policies.runs import Teacher, load_windows, to_tensors
from vdd_ros.policies.teacher import SamplerConfig, sample_chunks


def training_pool(teacher: Teacher, pool: int, sampler: SamplerConfig, seed: int) -> Batch:
    """`pool` training windows with one teacher sample each, drawn once and kept in the folder.

    Where the teacher was trained with noise on observations, a window is drawn again and again,
    with other noise; otherwise there are at most as many as were recorded. Raises UserError for
    less than one.
    """
    data, generator = _pool_windows(teacher, pool, seed)
    settings = {"sampler": asdict(sampler), "pool": pool, "seed": seed}
    key = fingerprint(settings, data.cond, *teacher.denoiser.state_dict().values())
    path = teacher.folder / f"samples-{key}.safetensors"
    if distributed.is_first() and not path.exists():
        samples = _draw(teacher, teacher.denoiser, data.cond, sampler, generator)
        save_tensors(path, {"samples": samples})
    distributed.wait()
    return data._replace(samples=load_tensors(path)["samples"])


def fresh_pool(
    teacher: Teacher, denoiser: ScoreModel | None, pool: int, sampler: SamplerConfig, seed: int
) -> Batch:
    """A pool as `training_pool` has it, drawn now and kept nowhere.

    denoiser: asked in the teacher's place; None: no samples are drawn, and NaN stands for them.
    """
    data, generator = _pool_windows(teacher, pool, seed)
    if denoiser is None:
        return data
    return data._replace(samples=_draw(teacher, denoiser, data.cond, sampler, generator))


def and_visited(
    data: Batch, teacher: Teacher, visited: np.ndarray, sampler: SamplerConfig, seed: int
) -> Batch:
    """A pool, and other observations (N, To, Do) with a teacher sample each."""
    cond = torch.tensor(teacher.normalizer.features(visited), dtype=torch.float32)
    generator = torch.Generator().manual_seed(seed)
    samples = _draw(teacher, teacher.denoiser, cond, sampler, generator)
    nothing = torch.full_like(samples, torch.nan)
    return Batch(*(torch.cat(both) for both in zip(data, (cond, samples, nothing), strict=True)))


def _pool_windows(teacher: Teacher, pool: int, seed: int) -> tuple[Batch, torch.Generator]:
    """A pool with NaN for samples, and the generator to draw them by."""
    if pool < 1:
        raise UserError(f"pool is {pool}; distil on at least 1 window")
    cond, chunks, _ = to_tensors(teacher.normalizer, load_windows(teacher, held_out=False))
    generator = torch.Generator().manual_seed(seed)
    noise = teacher.config.observation_noise
    if noise:
        index = torch.randint(len(cond), (pool,), generator=generator)
    else:
        index = torch.randperm(len(cond), generator=generator)[:pool]
    cond, chunks = blurred(cond[index], noise, generator), chunks[index]
    return Batch(cond, torch.full_like(chunks, torch.nan), chunks), generator


def _draw(
    teacher: Teacher,
    denoiser: ScoreModel,
    cond: Tensor,
    sampler: SamplerConfig,
    generator: torch.Generator,
) -> Tensor:
    """(N, C) -> (N, R): one sample each of `denoiser`, the teacher or who stands in its place."""
    dim, noise = teacher.normalizer.sizes[-1], teacher.config.sampling_noise
    return sample_chunks(denoiser.denoise, cond, dim, noise, sampler, generator)


def blurred(cond: Tensor, noise: float, generator: torch.Generator) -> Tensor:
    """(B, C) with noise of that standard deviation; without any the generator is left alone."""
    if not noise:
        return cond
    return cond + noise * torch.randn(cond.shape, generator=generator)
