"""From a teacher run to the run of a student that makes a chunk of noise in few network calls."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import nn

from vdd_ros.contract_parts import Kinematics
from vdd_ros.errors import UserError
from vdd_ros.policies import distributed
from vdd_ros.policies.checkpoint import Run
from vdd_ros.policies.distil import require_possible
from vdd_ros.policies.metrics_log import MetricsLog
from vdd_ros.policies.nets import count_parameters
from vdd_ros.policies.objectives import Batch, FewStep, Paired, fit
from vdd_ros.policies.objectives.compared import Compared
from vdd_ros.policies.pool import (
    PoolConfig,
    and_visited,
    fresh_pool,
    paired_pool,
    training_pool,
    with_visited,
)
from vdd_ros.policies.run_folder import finish, state_in
from vdd_ros.policies.runs import FewStepStudent, Teacher, load_any_student
from vdd_ros.policies.samplers import SAMPLERS
from vdd_ros.policies.sighted import both_of, settings_of
from vdd_ros.policies.spaces import compared_in_space
from vdd_ros.policies.teacher import SamplerConfig
from vdd_ros.policies.training import QUIET, Report, TrainingConfig

# Its form is its teacher's, which no setting makes smaller; inputs that a teacher lacks, such as a
# second noise level, add what is nothing beside that.
MORE = 0.05  # of its teacher's parameters


def distil_few_step(
    teacher: Teacher,
    folder: Path,
    method: str,
    training: TrainingConfig,
    objective: FewStep,
    pool: PoolConfig | None = None,
    sampler: SamplerConfig | None = None,
    report: Report = QUIET,
    allow_larger: bool = False,
    tensorboard: bool = False,
    visited: np.ndarray | None = None,
    kinematics: Kinematics | None = None,
) -> FewStepStudent:
    """Distil by `method`, one of FEW_STEP, on a pool of observations, with what it reads of them.

    The student begins as its teacher. sampler, visited: as `distil` has them;
    kinematics: how joints move tools, for an objective that compares poses. Raises UserError for
    noise that the teacher does not know, for a sampler that adds noise where the ODE is followed,
    and for a student of more parameters than its teacher by MORE, unless allow_larger.
    """
    log = MetricsLog(folder, tensorboard)
    sampler, pool = sampler or SamplerConfig(), pool or PoolConfig()
    require_possible(method, objective, pool, visited, teacher)
    _require_known_noise(method, objective, teacher)
    _require_deterministic(method, objective, sampler)
    if isinstance(objective, Compared):
        objective = compared_in_space(objective, teacher, kinematics)
    torch.manual_seed(training.seed)  # of what begins at random
    try:
        student = objective.student(teacher.denoiser)
    except ValueError as error:  # a net that it cannot be made of
        raise UserError(f"{teacher.folder}: {error}") from None
    if not allow_larger:
        require_hardly_larger(student, teacher)
    data = _data(teacher, objective, pool, sampler, training.seed, visited)
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "method": method,
        "objective": asdict(objective),
        "training": asdict(training),
        "teacher": asdict(teacher.config),
        "sampler": asdict(sampler),
        "pool": asdict(pool),
        "processes": distributed.processes(),
    }
    if kinematics is not None:
        settings["kinematics"] = kinematics.model_dump(exclude_none=True)
    state_file = state_in(folder, settings, *data)
    weights = fit(student, teacher.denoiser, data, objective, training, state_file, report, log)
    if teacher.encoder is not None:
        settings |= settings_of(teacher.encoder.config, teacher.contract)
        weights = both_of(teacher.encoder, weights)
    run = Run("student", settings, teacher.contract, teacher.normalizer, teacher.notes_of_students)
    finish(folder, run, weights)
    made = load_any_student(folder)
    assert isinstance(made, FewStepStudent)
    return made


def require_hardly_larger(student: nn.Module, teacher: Teacher) -> None:
    """Raise UserError for more parameters than the teacher's and MORE of them."""
    own, allowed = count_parameters(student), count_parameters(teacher.denoiser)
    if own > (1.0 + MORE) * allowed:
        raise UserError(
            f"the student would have {own:,} parameters, its teacher has {allowed:,}, and no more "
            f"than {MORE:.0%} may be added for further inputs: allow it with --allow-larger "
            "(allow_larger: true in a plan)"
        )


def _data(
    teacher: Teacher,
    objective: FewStep,
    pool: PoolConfig,
    sampler: SamplerConfig,
    seed: int,
    visited: np.ndarray | None,
) -> Batch | Paired:
    """No more is drawn of the teacher than the objective reads."""
    if objective.needs_starts:
        ends = objective.needs_samples
        return paired_pool(teacher, pool, sampler, objective.noise, seed, visited, ends)
    if objective.needs_samples:
        data = training_pool(teacher, pool, sampler, seed)
        return data if visited is None else and_visited(data, teacher, visited, sampler, seed)
    data = fresh_pool(teacher, None, pool, sampler, seed)
    return data if visited is None else with_visited(data, teacher, visited)


def _require_known_noise(method: str, objective: FewStep, teacher: Teacher) -> None:
    low, high = objective.sigma_min, objective.sigma_max
    known = teacher.config.sampling_noise
    if not known.sigma_min <= low < high <= known.sigma_max:
        raise UserError(
            f"{method} would learn at noise from {low:g} to {high:g}, its teacher knows "
            f"{known.sigma_min:g} to {known.sigma_max:g}: choose sigma_min and sigma_max within"
        )


def _require_deterministic(method: str, objective: FewStep, sampler: SamplerConfig) -> None:
    if objective.needs_starts and SAMPLERS[sampler.name].is_stochastic:
        allowed = (name for name, one in SAMPLERS.items() if not one.is_stochastic)
        raise UserError(
            f"{method} learns where the teacher's ODE leads, which {sampler.name} does not follow, "
            f"as it adds noise: use one of {', '.join(allowed)}"
        )
