"""From episodes to a teacher run, and from a teacher run to a student run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from vdd_ros.contract import Contract
from vdd_ros.episode import Episode
from vdd_ros.errors import UserError
from vdd_ros.policies import distributed
from vdd_ros.policies.checkpoint import (
    Run,
    fingerprint,
    save_run,
)
from vdd_ros.policies.diffusion_loss import denoising_loss
from vdd_ros.policies.examples import Examples, examples_of, fit_normalizer
from vdd_ros.policies.metrics_log import MetricsLog
from vdd_ros.policies.moe import GaussianMoE, StudentConfig, k_means
from vdd_ros.policies.nets import count_parameters
from vdd_ros.policies.objectives import OBJECTIVES, Objective, fit, require_learnable
from vdd_ros.policies.players import Nets, Player, parameters_of
from vdd_ros.policies.pool import PoolConfig, and_visited, blurred, training_pool
from vdd_ros.policies.pruning import pruned, used_experts
from vdd_ros.policies.runs import Student, Teacher, load_student, load_teacher
from vdd_ros.policies.shared_start import SharedStart
from vdd_ros.policies.stored_windows import FILE_NAME as WINDOWS
from vdd_ros.policies.stored_windows import store_windows
from vdd_ros.policies.teacher import SamplerConfig, TeacherConfig, make_teacher
from vdd_ros.policies.training import QUIET, Report, TrainingConfig, train
from vdd_ros.policies.window_source import WindowSource, in_memory
from vdd_ros.policies.windows import require_positions

Start = Literal["random", "k-means"]
# Of what happens up to the last phase: a start of other code is nobody's.
START_VERSION = 1


def train_teacher(
    contract: Contract,
    episodes: Sequence[Episode] | WindowSource,
    folder: Path,
    config: TeacherConfig,
    training: TrainingConfig,
    held_out: int,
    report: Report = QUIET,
    tensorboard: bool = False,
) -> Teacher:
    """Train on all but the last `held_out` episodes; a run broken off in `folder` is taken up.

    episodes: in memory, or a source of their windows, by the sizes of `config`.
    """
    log = MetricsLog(folder, tensorboard)
    source = (
        episodes
        if isinstance(episodes, WindowSource)
        else in_memory(contract, episodes, config.n_obs_steps, config.horizon)
    )
    if not 0 < held_out < len(source.facts):
        raise UserError(
            f"{held_out} of {len(source.facts)} episodes held out; hold out at least one and train "
            "on at least one"
        )
    if config.reference_degree == 0:
        require_positions(contract, "reference_degree 0")
    trained_on = len(source.facts) - held_out
    for_training = source.of(range(trained_on))
    if not len(for_training) or len(for_training) == len(source):
        part = "held out" if len(for_training) else "trained on"
        raise UserError(
            f"nobody took over in the episodes of a policy that are {part}: name demonstrations "
            "last when merging, of which some are held out"
        )
    normalizer = fit_normalizer(
        for_training, config.rank, np.random.default_rng(training.seed), config.reference_degree
    )
    data = examples_of(normalizer, for_training, folder)
    torch.manual_seed(training.seed)
    denoiser = make_teacher(config, *normalizer.sizes)

    def loss(batch: Examples, progress: float, generator: torch.Generator) -> Tensor:
        seen = blurred(batch.cond, config.observation_noise, generator)
        return denoising_loss(denoiser, batch.chunks, seen, config.noise, generator)

    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "teacher": asdict(config),
        "training": asdict(training),
        "processes": distributed.processes(),
    }
    state_file = _state_file(folder, settings, *data)
    stored = folder / state_file.name.replace("state", "windows")
    if distributed.is_first():
        # before the training: where they are read from may be gone after it
        store_windows(stored, source, trained_on)
    nets = Nets({"teacher": denoiser}, training.ema_decay)
    player = Player("teacher", parameters_of(denoiser), loss)
    weights = train(nets, [player], data, training, state_file, report, log=log)
    notes = {
        "held_out": source.names[trained_on:],
        "trained_on": for_training.names,
        "corrections": [one.name for one in source.facts if one.of_policy],
    }
    if distributed.is_first():
        stored.replace(folder / WINDOWS)
    _save(folder, Run("teacher", settings, contract, normalizer, notes), weights)
    return load_teacher(folder)


def distil(
    teacher: Teacher,
    folder: Path,
    method: str,
    config: StudentConfig,
    training: TrainingConfig,
    objective: Objective | None = None,
    pool: PoolConfig | None = None,
    sampler: SamplerConfig | None = None,
    report: Report = QUIET,
    allow_larger: bool = False,
    start: Start = "random",
    prune: float = 0.0,
    tensorboard: bool = False,
    visited: np.ndarray | None = None,
) -> Student:
    """Distil by `method`, one of OBJECTIVES, on a pool of observations with one sample each.

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
    sampler, pool = sampler or SamplerConfig(), pool or PoolConfig()
    if objective.needs_demos and (visited is not None or pool.between):
        raise UserError(
            f"{method} learns from demonstrations, of which none begin where nobody demonstrated: "
            "leave out visited and pool.between"
        )
    moe = make_student(teacher, config, training.seed, allow_larger)
    data = training_pool(teacher, pool, sampler, training.seed)
    if visited is not None:
        data = and_visited(data, teacher, visited, sampler, training.seed)
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
        "pool": asdict(pool),
        "start": start,
        "processes": distributed.processes(),
    }
    state_file = _state_file(folder, settings, *data)
    shared = _shared_start(teacher, objective, settings, *data)
    if shared is not None and distributed.is_first():
        shared.take_up(state_file, log)
    distributed.wait()
    weights = fit(
        moe, teacher.denoiser, data, objective, training, state_file, report, log, start=shared
    )
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


def _state_file(folder: Path, settings: dict, *data: Tensor) -> Path:
    """Where a training keeps itself: not where another one would take it up as its own."""
    return folder / f"state-{fingerprint(settings, *data)}.safetensors"


def _shared_start(
    teacher: Teacher, objective: Objective, settings: dict, *data: Tensor
) -> SharedStart | None:
    """Where trainings that are one up to their last phase leave that part, None for others'."""
    first, last = objective.first_phase, objective.last_phase
    if first is None or last is None or last.begins == 0.0:
        return None
    common = settings | {
        "method": type(first).__name__,
        "objective": asdict(first),
        "begins": last.begins,
        "version": START_VERSION,
    }
    return SharedStart(teacher.folder / f"start-{fingerprint(common, *data)}.safetensors")


def _save(folder: Path, run: Run, weights: dict[str, Tensor]) -> None:
    """Save a finished run, which needs no state any more; one process does it for all."""
    if distributed.is_first():
        save_run(folder, run, weights)
        for pattern in ("state-*", "windows-*", "*.part"):
            for path in folder.glob(pattern):
                path.unlink()
    distributed.wait()
