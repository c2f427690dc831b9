"""From a teacher run to the run of a student that is a mixture of Gaussian experts."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from vdd_ros.errors import UserError
from vdd_ros.policies import distributed
from vdd_ros.policies.checkpoint import Run, fingerprint
from vdd_ros.policies.imported import ImportedConfig
from vdd_ros.policies.metrics_log import MetricsLog
from vdd_ros.policies.moe import GaussianMoE, StudentConfig, k_means
from vdd_ros.policies.nets import count_parameters
from vdd_ros.policies.objectives import OBJECTIVES, Batch, Objective, fit, require_learnable
from vdd_ros.policies.own_eyes import WithOwnEyes, seen_batch, sighted_student, with_own_eyes
from vdd_ros.policies.pool import PoolConfig, and_visited, rows_of_pool, training_pool
from vdd_ros.policies.pruning import pruned, used_experts
from vdd_ros.policies.run_folder import finish, state_in
from vdd_ros.policies.runs import Student, Teacher, load_student
from vdd_ros.policies.shared_start import SharedStart
from vdd_ros.policies.sighted import both_of, settings_of
from vdd_ros.policies.teacher import SamplerConfig
from vdd_ros.policies.training import QUIET, Report, TrainingConfig

Start = Literal["random", "k-means"]
EncoderUse = Literal["frozen", "trained"]
# Of what happens up to the last phase: a start of other code is nobody's.
START_VERSION = 1


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
    encoder: EncoderUse = "frozen",
) -> Student:
    """Distil by `method`, one of OBJECTIVES, on a pool of observations with one sample each.

    start: where the experts' centres begin, at random or at k-means of the teacher samples; prune:
    least share of the gating of an expert that stays, 0: all stay; visited: (N, To, Do) further
    observations to distil on, in contract units, such as a student got into. Raises UserError for a
    student of more parameters than its teacher unless allow_larger.

    encoder: of images; frozen: the teacher's, and the features are encoded once; trained: one that
    begins as the teacher's and learns with the student.
    """
    log = MetricsLog(folder, tensorboard)
    if method not in OBJECTIVES:
        raise UserError(f"no distillation method {method!r}: name one of {', '.join(OBJECTIVES)}")
    if not 0.0 <= prune < 1.0:
        raise UserError(f"prune is {prune}; it is a share of the gating: write 0 to below 1")
    if encoder == "trained" and prune:
        raise UserError("experts are pruned by what a frozen encoder shows: leave out prune")
    objective = objective or OBJECTIVES[method]()
    sampler, pool = sampler or SamplerConfig(), pool or PoolConfig()
    require_possible(method, objective, pool, visited, teacher)
    own_eyes = with_own_eyes(teacher, objective, pool) if encoder == "trained" else None
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
    if own_eyes is not None:
        return _distil_sighted(teacher, folder, settings, moe, data, own_eyes, pool, report, log)
    state_file = state_in(folder, settings, *data)
    shared = _shared_start(teacher, objective, settings, *data)
    if shared is not None and distributed.is_first():
        shared.take_up(state_file, log)
    distributed.wait()
    weights = fit(
        moe, teacher.denoiser, data, objective, training, state_file, report, log, start=shared
    )
    notes = teacher.notes_of_students
    if prune:
        moe.load_state_dict(weights)
        kept = used_experts(moe.eval(), data.cond, prune)
        moe = pruned(moe, kept)
        weights = moe.state_dict()
        settings["student"] = asdict(moe.config)
        notes = notes | {"experts": {"given": config.n_experts, "kept": len(kept), "prune": prune}}
    if teacher.encoder is not None:
        settings |= settings_of(teacher.encoder.config, teacher.contract)
        weights = both_of(teacher.encoder, weights)
    run = Run("student", settings, teacher.contract, teacher.normalizer, notes)
    finish(folder, run, weights)
    return load_student(folder)


def _distil_sighted(
    teacher: Teacher,
    folder: Path,
    settings: dict,
    moe: GaussianMoE,
    data: Batch,
    objective: WithOwnEyes,
    pool: PoolConfig,
    report: Report,
    log: MetricsLog,
) -> Student:
    """The student learns to see as well, with an encoder that begins as its teacher's."""
    training = TrainingConfig(**settings["training"])
    assert teacher.encoder is not None
    settings |= settings_of(teacher.encoder.config, teacher.contract) | {"encoder_use": "trained"}
    seen = seen_batch(data, teacher, rows_of_pool(teacher, pool, training.seed))
    net, state_file = sighted_student(teacher, moe), state_in(folder, settings, *seen)
    weights = fit(net, teacher.denoiser, seen, objective, training, state_file, report, log)
    run = Run("student", settings, teacher.contract, teacher.normalizer, teacher.notes_of_students)
    finish(folder, run, weights)
    return load_student(folder)


def require_possible(
    method: str,
    objective: Objective,
    pool: PoolConfig,
    visited: np.ndarray | None,
    teacher: Teacher,
) -> None:
    """Raise UserError for what cannot be learned from, before minutes are spent on drawing it."""
    require_learnable(objective)
    past = teacher.config.past if isinstance(teacher.config, ImportedConfig) else 0
    if objective.needs_demos and past:
        raise UserError(
            f"{method} learns from demonstrated chunks, and {past} of this teacher's steps lie "
            "before the newest observation, where episodes keep none: choose a method that learns "
            "from the teacher alone (`vdd distill --list --json`: needs_demos)"
        )
    if objective.needs_demos and (visited is not None or pool.between):
        raise UserError(
            f"{method} learns from demonstrations, of which none begin where nobody demonstrated: "
            "leave out visited and pool.between"
        )


def make_student(
    teacher: Teacher, config: StudentConfig, seed: int, allow_larger: bool
) -> GaussianMoE:
    """An untrained student; UserError for one of more parameters than its teacher unless
    allow_larger."""
    torch.manual_seed(seed)
    moe = GaussianMoE(config, *teacher.sizes)
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
