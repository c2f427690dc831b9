"""From episodes to a teacher run, and from a teacher run to a student run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vdd_ros.contract import Contract
from vdd_ros.episode import Episode
from vdd_ros.errors import UserError
from vdd_ros.normalizer import Normalizer
from vdd_ros.policies import distributed
from vdd_ros.policies.baselines import Fitted
from vdd_ros.policies.checkpoint import (
    Run,
    fingerprint,
    load_run,
    load_tensors,
    load_weights,
    save_run,
    save_tensors,
)
from vdd_ros.policies.denoiser import Denoiser, ScoreModel
from vdd_ros.policies.diffusion_loss import denoising_loss
from vdd_ros.policies.metrics_log import MetricsLog
from vdd_ros.policies.moe import GaussianMoE, StudentConfig, k_means
from vdd_ros.policies.nets import count_parameters
from vdd_ros.policies.noise import NoiseConfig
from vdd_ros.policies.objectives import OBJECTIVES, Batch, Objective, fit, require_learnable
from vdd_ros.policies.players import Nets, Player, parameters_of
from vdd_ros.policies.pruning import pruned, used_experts
from vdd_ros.policies.teacher import SamplerConfig, TeacherConfig, make_teacher, sample_chunks
from vdd_ros.policies.training import QUIET, Report, TrainingConfig, train
from vdd_ros.policies.windows import Windows, require_positions_first, windows_of

Start = Literal["random", "k-means"]


@dataclass(frozen=True)
class Teacher:
    """A trained teacher; notes: names of the episodes it was trained on and of those held out."""

    folder: Path
    contract: Contract
    config: TeacherConfig
    normalizer: Normalizer
    denoiser: Denoiser
    notes: dict


@dataclass(frozen=True)
class Student:
    """A distilled student; notes: its teacher's."""

    folder: Path
    contract: Contract
    method: str
    config: StudentConfig
    normalizer: Normalizer
    moe: GaussianMoE
    notes: dict


class WindowTensors(NamedTuple):
    """cond: (N, C) features; chunks: (N, R) as demonstrated, normalised; windows: as recorded."""

    cond: Tensor
    chunks: Tensor
    windows: Windows


class Examples(NamedTuple):
    """What a teacher learns from. cond: (N, C); chunks: (N, R), normalised."""

    cond: Tensor
    chunks: Tensor


def train_teacher(
    contract: Contract,
    episodes: list[Episode],
    folder: Path,
    config: TeacherConfig,
    training: TrainingConfig,
    held_out: int,
    report: Report = QUIET,
    tensorboard: bool = False,
) -> Teacher:
    """Train on all but the last `held_out` episodes; a run broken off in `folder` is taken up."""
    log = MetricsLog(folder, tensorboard)
    if not 0 < held_out < len(episodes):
        raise UserError(
            f"{held_out} of {len(episodes)} episodes held out; hold out at least one and train on "
            "at least one"
        )
    if config.reference_degree == 0:
        require_positions_first(contract, "reference_degree 0")
    windows = windows_of(contract, episodes, config.n_obs_steps, config.horizon)
    is_held_out = windows.episode >= len(episodes) - held_out
    for_training = Windows(*(part[~is_held_out] for part in windows))
    normalizer = Normalizer.fit(
        for_training.observations,
        for_training.chunks,
        config.rank,
        np.random.default_rng(training.seed),
        config.reference_degree,
    )
    cond, chunks, _ = to_tensors(normalizer, for_training)
    torch.manual_seed(training.seed)
    denoiser = make_teacher(config, *normalizer.sizes)

    def loss(batch: Examples, progress: float, generator: torch.Generator) -> Tensor:
        seen = _blurred(batch.cond, config.observation_noise, generator)
        return denoising_loss(denoiser, batch.chunks, seen, config.noise, generator)

    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "teacher": asdict(config),
        "training": asdict(training),
        "processes": distributed.processes(),
    }
    state_file = _state_file(folder, settings, cond, chunks)
    nets = Nets({"teacher": denoiser}, training.ema_decay)
    player = Player("teacher", parameters_of(denoiser), loss)
    data = Examples(cond, chunks)
    weights = train(nets, [player], data, training, state_file, report, log=log)
    notes = {
        "held_out": [episode.name for episode in episodes[-held_out:]],
        "trained_on": [episode.name for episode in episodes[:-held_out]],
    }
    if distributed.is_first():
        _save_windows(folder, windows, is_held_out)
    _save(folder, Run("teacher", settings, contract, normalizer, notes), weights)
    return load_teacher(folder)


def load_teacher(folder: str | Path) -> Teacher:
    """Read a teacher run; raises UserError when it is missing, damaged or something else."""
    run, weights = load_run(folder, "teacher")
    raw = run.configs["teacher"]
    config = TeacherConfig(**raw | {"noise": NoiseConfig(**raw["noise"])})
    denoiser = make_teacher(config, *run.normalizer.sizes)
    load_weights(denoiser, weights, folder)
    return Teacher(Path(folder), run.contract, config, run.normalizer, denoiser.eval(), run.notes)


def distil(
    teacher: Teacher,
    folder: Path,
    method: str,
    config: StudentConfig,
    training: TrainingConfig,
    objective: Objective | None = None,
    pool: int = 120_000,
    sampler: SamplerConfig | None = None,
    report: Report = QUIET,
    allow_larger: bool = False,
    start: Start = "random",
    prune: float = 0.0,
    tensorboard: bool = False,
    visited: np.ndarray | None = None,
) -> Student:
    """Distil by `method`, one of OBJECTIVES, on `pool` training windows with one sample each.

    start: where the experts' centres begin, at random or at k-means of the teacher samples; prune:
    least share of the gating of an expert that stays, 0: all stay; visited: (N, To, Do) further
    observations to distil on, in contract units, such as a student got into. Raises UserError for a
    student of more parameters than its teacher unless allow_larger.
    """
    log = MetricsLog(folder, tensorboard)
    if method not in OBJECTIVES:
        raise UserError(f"no distillation method {method!r}: there are {', '.join(OBJECTIVES)}")
    if not 0.0 <= prune < 1.0:
        raise UserError(f"prune is {prune}; it is a share of the gating, from 0 to below 1")
    objective = objective or OBJECTIVES[method]()
    require_learnable(objective)  # before minutes are spent on drawing
    if visited is not None and objective.needs_demos:
        raise UserError(f"{method} learns from demonstrations, of which none begin there")
    sampler = sampler or SamplerConfig()
    moe = make_student(teacher, config, training.seed, allow_larger)
    data = training_pool(teacher, pool, sampler, training.seed)
    if visited is not None:
        data = _and_visited(data, teacher, visited, sampler, training.seed)
    if start == "k-means":
        moe.start_at(k_means(data.samples, config.n_experts, training.seed))

    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "method": method,
        "student": asdict(config),
        "objective": asdict(objective),
        "training": asdict(training),
        "teacher": asdict(teacher.config),
        "sampler": asdict(sampler),
        "pool": pool,
        "start": start,
        "processes": distributed.processes(),
    }
    state_file = _state_file(folder, settings, *data)
    weights = fit(moe, teacher.denoiser, data, objective, training, state_file, report, log)
    notes = teacher.notes
    if prune:
        moe.load_state_dict(weights)
        kept = used_experts(moe.eval(), data.cond, prune)
        moe = pruned(moe, kept, *teacher.normalizer.sizes[:2])
        weights = moe.state_dict()
        settings["student"] = asdict(moe.config)
        notes = notes | {"experts": {"given": config.n_experts, "kept": len(kept), "prune": prune}}
    run = Run("student", settings, teacher.contract, teacher.normalizer, notes)
    _save(folder, run, weights)
    return load_student(folder)


def make_student(
    teacher: Teacher, config: StudentConfig, seed: int, allow_larger: bool
) -> GaussianMoE:
    """An untrained student; UserError for one of more parameters than its teacher unless
    allow_larger."""
    torch.manual_seed(seed)
    moe = GaussianMoE(config, *teacher.normalizer.sizes)
    if not allow_larger:
        _require_no_larger(moe, teacher)
    return moe


def _require_no_larger(moe: GaussianMoE, teacher: Teacher) -> None:
    own, allowed = count_parameters(moe), count_parameters(teacher.denoiser)
    if own > allowed:
        raise UserError(
            f"the student would have {own:,} parameters, its teacher has {allowed:,}: choose "
            "smaller sizes (width, blocks, bottleneck), or allow it with --allow-larger "
            "(allow_larger: true in a plan)"
        )


def load_student(folder: str | Path) -> Student:
    """Read a student run; raises UserError when it is missing, damaged or something else."""
    run, weights = load_run(folder, "student")
    config = StudentConfig(**run.configs["student"])
    moe = GaussianMoE(config, *run.normalizer.sizes)
    load_weights(moe, weights, folder)
    method = run.configs["method"]
    return Student(
        Path(folder), run.contract, method, config, run.normalizer, moe.eval(), run.notes
    )


def load_windows(teacher: Teacher, held_out: bool) -> Windows:
    """The windows a teacher was trained on, or those it never saw."""
    tensors = {
        k: v.numpy() for k, v in load_tensors(teacher.folder / "windows.safetensors").items()
    }
    rows = tensors["is_held_out"] == held_out
    return Windows(*(tensors[name][rows] for name in Windows._fields))


def training_data(teacher: Teacher) -> Fitted:
    """What a teacher was trained on, for what is fitted without a network."""
    cond, chunks, windows = to_tensors(teacher.normalizer, load_windows(teacher, held_out=False))
    return Fitted(teacher.normalizer, cond, chunks, windows)


def to_tensors(normalizer: Normalizer, windows: Windows) -> WindowTensors:
    """Windows in the network's units, float32."""
    cond = normalizer.features(windows.observations)
    chunks = normalizer.normalize(windows.chunks, windows.observations)
    return WindowTensors(
        torch.tensor(cond, dtype=torch.float32),
        torch.tensor(chunks, dtype=torch.float32),
        windows,
    )


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
    cond, chunks = _blurred(cond[index], noise, generator), chunks[index]
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


def _and_visited(
    data: Batch, teacher: Teacher, visited: np.ndarray, sampler: SamplerConfig, seed: int
) -> Batch:
    """A pool, and other observations (N, To, Do) with a teacher sample each."""
    cond = torch.tensor(teacher.normalizer.features(visited), dtype=torch.float32)
    generator = torch.Generator().manual_seed(seed)
    samples = _draw(teacher, teacher.denoiser, cond, sampler, generator)
    nothing = torch.full_like(samples, torch.nan)
    return Batch(*(torch.cat(both) for both in zip(data, (cond, samples, nothing), strict=True)))


def _blurred(cond: Tensor, noise: float, generator: torch.Generator) -> Tensor:
    """(B, C) with noise of that standard deviation; without any the generator is left alone."""
    if not noise:
        return cond
    return cond + noise * torch.randn(cond.shape, generator=generator)


def _state_file(folder: Path, settings: dict, *data: Tensor) -> Path:
    """Where a training keeps itself: not where another one would take it up as its own."""
    return folder / f"state-{fingerprint(settings, *data)}.safetensors"


def _save(folder: Path, run: Run, weights: dict[str, Tensor]) -> None:
    """Save a finished run, which needs no state any more; one process does it for all."""
    if distributed.is_first():
        save_run(folder, run, weights)
        for path in folder.glob("state-*"):
            path.unlink()
    distributed.wait()


def _save_windows(folder: Path, windows: Windows, is_held_out: np.ndarray) -> None:
    tensors = {
        name: torch.tensor(part if part.dtype.kind != "f" else part.astype(np.float32))
        for name, part in windows._asdict().items()
    }
    save_tensors(
        folder / "windows.safetensors", tensors | {"is_held_out": torch.tensor(is_held_out)}
    )
