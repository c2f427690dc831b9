"""The pool: what a student is distilled on, observations with one teacher sample each.

A teacher that is a score can be asked anywhere, not only where somebody demonstrated something. A
student that knows it at recorded observations alone goes its own way between them; asked between
them as well, it follows the teacher there too (function matching: Beyer et al. 2022, CVPR).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from vdd_ros.errors import UserError
from vdd_ros.policies import distributed
from vdd_ros.policies.checkpoint import fingerprint, load_tensors, save_tensors
from vdd_ros.policies.denoiser import ScoreModel
from vdd_ros.policies.device import lent
from vdd_ros.policies.noise import NoiseConfig
from vdd_ros.policies.objectives import Batch, Paired
from vdd_ros.policies.runs import Teacher, training_examples
from vdd_ros.policies.sighted import require_numbers_alone
from vdd_ros.policies.stored_windows import open_windows
from vdd_ros.policies.teacher import SamplerConfig, follow, sample_chunks

ROWS = 4096  # whose candidates are looked at together


@dataclass(frozen=True)
class PoolConfig:
    """size: observations, of which a share of `between` lie anywhere on the line from a recorded
    one to one of another episode; recorded ones may be fewer than the rest. candidates: how many
    others are looked at to find one nearby.
    """

    size: int = 120_000
    between: float = 0.0
    candidates: int = 8

    def __post_init__(self):
        if self.size < 1:
            raise ValueError(f"pool.size is {self.size}; distil on at least 1 observation")
        if not 0.0 <= self.between <= 1.0:
            raise ValueError(f"pool.between is {self.between}; it is a share, from 0 to 1")
        if self.candidates < 1:
            raise ValueError(f"pool.candidates is {self.candidates}; look at 1 or more")


def training_pool(teacher: Teacher, config: PoolConfig, sampler: SamplerConfig, seed: int) -> Batch:
    """A pool, drawn once and kept in the teacher's folder.

    Where the teacher was trained with noise on observations they all have such noise, and a
    recorded one is drawn again and again; without noise each is there at most once. Where nobody
    demonstrated anything demos are NaN.
    """
    data, generator = _observations(teacher, config, seed)
    settings = {"sampler": asdict(sampler), "pool": asdict(config), "seed": seed}
    key = fingerprint(settings, data.cond, *teacher.denoiser.state_dict().values())
    path = teacher.folder / f"samples-{key}.safetensors"
    if distributed.is_first() and not path.exists():
        samples = _draw(teacher, teacher.denoiser, data.cond, sampler, generator)
        save_tensors(path, {"samples": samples})
    distributed.wait()
    return data._replace(samples=load_tensors(path)["samples"])


def paired_pool(
    teacher: Teacher,
    config: PoolConfig,
    sampler: SamplerConfig,
    noise: NoiseConfig,
    seed: int,
    visited: np.ndarray | None = None,
    with_ends: bool = True,
) -> Paired:
    """A pool whose samples are where the teacher's ODE leads, each with the noise that it came
    from; kept in the teacher's folder. sampler: adds no noise; visited: as `and_visited` has it;
    with_ends: without them NaN stands for samples, and nothing is kept.
    """
    data, generator = _observations(teacher, config, seed)
    if visited is not None:
        data = with_visited(data, teacher, visited)
    starts = noise.sigma_max * torch.randn(data.demos.shape, generator=generator)
    if not with_ends:
        return Paired(*data, starts)
    settings = {"sampler": asdict(sampler), "noise": asdict(noise)}
    weights = teacher.denoiser.state_dict().values()
    key = fingerprint(settings, data.cond, starts, *weights)
    path = teacher.folder / f"ends-{key}.safetensors"
    if distributed.is_first() and not path.exists():
        with lent(teacher.denoiser):
            ends = follow(teacher.denoiser.denoise, starts, data.cond, noise, sampler)
        save_tensors(path, {"ends": ends})
    distributed.wait()
    return Paired(data.cond, load_tensors(path)["ends"], data.demos, starts)


def fresh_pool(
    teacher: Teacher,
    denoiser: ScoreModel | None,
    config: PoolConfig,
    sampler: SamplerConfig,
    seed: int,
) -> Batch:
    """A pool as `training_pool` has it, drawn now and kept nowhere.

    denoiser: asked in the teacher's place; None: no samples are drawn, and NaN stands for them.
    """
    data, generator = _observations(teacher, config, seed)
    if denoiser is None:
        return data
    return data._replace(samples=_draw(teacher, denoiser, data.cond, sampler, generator))


def and_visited(
    data: Batch, teacher: Teacher, visited: np.ndarray, sampler: SamplerConfig, seed: int
) -> Batch:
    """A pool, and other observations (N, To, Do) with a teacher sample each."""
    both, generator = with_visited(data, teacher, visited), torch.Generator().manual_seed(seed)
    cond = both.cond[len(data.cond) :]
    samples = _draw(teacher, teacher.denoiser, cond, sampler, generator)
    return both._replace(samples=torch.cat([data.samples, samples]))


def with_visited(data: Batch, teacher: Teacher, visited: np.ndarray) -> Batch:
    """A pool, and other observations (N, To, Do) with NaN for samples and demos; raises UserError
    for a teacher that sees images, which they lack."""
    require_numbers_alone(teacher.encoder, visited)
    cond = torch.tensor(teacher.normalizer.features(visited), dtype=torch.float32)
    nothing = torch.full((len(cond), data.demos.shape[1]), torch.nan)
    return Batch(*(torch.cat(both) for both in zip(data, (cond, nothing, nothing), strict=True)))


def _observations(teacher: Teacher, config: PoolConfig, seed: int) -> tuple[Batch, torch.Generator]:
    """A pool with NaN for samples, and the generator to draw them by."""
    (cond, chunks), of = training_examples(teacher)
    generator = torch.Generator().manual_seed(seed)
    noise = teacher.config.observation_noise
    count = round(config.size * config.between)
    index = _recorded(len(cond), config.size - count, noise, generator)
    seen, demos = cond[index], chunks[index]
    if count:
        episode = torch.from_numpy(np.array(of))
        further = _between(cond, episode, count, config.candidates, generator)
        seen = torch.cat([seen, further])
        demos = torch.cat([demos, torch.full((count, chunks.shape[1]), torch.nan)])
    seen = blurred(seen, noise, generator, teacher.normalizer.sizes[1])
    return Batch(seen, torch.full_like(demos, torch.nan), demos), generator


def _recorded(known: int, count: int, noise: float, generator: torch.Generator) -> Tensor:
    """(count,) which of the recorded observations are taken; without noise each at most once."""
    if noise:
        return torch.randint(known, (count,), generator=generator)
    return torch.randperm(known, generator=generator)[:count]


def rows_of_pool(teacher: Teacher, config: PoolConfig, seed: int) -> Tensor:
    """Which of the windows that a teacher was trained on the observations of a pool are, one after
    the other, where none are between them."""
    known = len(open_windows(teacher.folder, held_out=False))
    generator = torch.Generator().manual_seed(seed)
    return _recorded(known, config.size, teacher.config.observation_noise, generator)


def _between(
    cond: Tensor, episode: Tensor, count: int, candidates: int, generator: torch.Generator
) -> Tensor:
    """(N, C), (N,) -> (count, C), each on the line between a row and the nearest of a few others of
    other episodes; raises UserError where there is only one."""
    if (episode == episode[0]).all():
        raise UserError(
            "pool.between is of several episodes, and the teacher learned from one: leave it out"
        )
    made = []
    for rows in torch.arange(count).split(ROWS):
        one = torch.randint(len(cond), (len(rows),), generator=generator)
        other = torch.full_like(one, -1)
        while (lacking := other < 0).any():  # as long as all candidates are of the same episode
            one_of, of = one[lacking], episode[one[lacking]]
            shape = (len(one_of), candidates)
            others = torch.randint(len(cond), shape, generator=generator)
            distance = (cond[others] - cond[one_of][:, None]).square().sum(-1)
            distance[episode[others] == of[:, None]] = torch.inf
            nearest = distance.min(1)
            found = others.gather(1, nearest.indices[:, None])[:, 0]
            other[lacking] = torch.where(nearest.values.isfinite(), found, -1)
        share = torch.rand(len(rows), 1, generator=generator)
        made.append(torch.lerp(cond[one], cond[other], share))
    return torch.cat(made)


def _draw(
    teacher: Teacher,
    denoiser: ScoreModel,
    cond: Tensor,
    sampler: SamplerConfig,
    generator: torch.Generator,
) -> Tensor:
    """(N, C) -> (N, R): one sample each of `denoiser`, the teacher or who stands in its place."""
    dim, noise = teacher.normalizer.sizes[-1], teacher.config.sampling_noise
    with lent(denoiser):
        return sample_chunks(denoiser.denoise, cond, dim, noise, sampler, generator)


def blurred(
    cond: Tensor, noise: float, generator: torch.Generator, state: int | None = None
) -> Tensor:
    """(B, C) with noise of that standard deviation on the first `state` numbers, what follows them
    being of images; without any noise the generator is left alone."""
    if not noise:
        return cond
    first, rest = cond[:, :state], cond[:, len(cond[0]) if state is None else state :]
    return torch.cat([first + noise * torch.randn(first.shape, generator=generator), rest], dim=1)
