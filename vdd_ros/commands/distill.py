"""Distil a teacher into a mixture of Gaussian experts: one network call instead of many.

With --toy the teacher is the exact score of a distribution that is known, nothing is written, and
the outcome is compared with the truth. torchrun shares the work among processes, see `vdd train`.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Literal

import numpy as np

from vdd_ros.commands.progress import progress
from vdd_ros.errors import UserError
from vdd_ros.policies import toys
from vdd_ros.policies.distil import Start, distil
from vdd_ros.policies.distributed import process_group
from vdd_ros.policies.moe import StudentConfig
from vdd_ros.policies.nets import count_parameters
from vdd_ros.policies.objectives import OBJECTIVES, Objective
from vdd_ros.policies.pool import PoolConfig
from vdd_ros.policies.runs import Teacher, load_teacher
from vdd_ros.policies.teacher import SamplerConfig
from vdd_ros.policies.training import TrainingConfig, use_threads

TRAINING = TrainingConfig(steps=6_000, batch_size=256, learning_rate=1e-3, ema_decay=0.995)


@dataclass(frozen=True)
class ObjectiveChanges:
    """What is to differ from the usual settings of the method; each has its own of these."""

    observations: int | None = None
    """vdd, vdd-paper: of a batch that ask the teacher."""
    samples: int | None = None
    """vdd, vdd-paper: per expert and observation."""
    start: float | None = None
    """vdd: share of training spent on the likelihood start; nll, em: share after which the schedule
    of the learning rate runs once more."""
    last_rate: float | None = None
    """Learning rate after the start, over that of the start."""
    settle: float | None = None
    """vdd: share of the rest over which sigma_max falls; nll, em: share of training over which the
    noise falls."""
    sigma_start: float | None = None
    """nll, em: noise at the beginning."""
    sigma_min: float | None = None
    """vdd"""
    sigma_max_start: float | None = None
    """vdd"""
    sigma_max_end: float | None = None
    """vdd"""
    band: float | None = None
    """vdd: largest over smallest sigma at a time."""
    gating_weight: float | None = None
    """vdd"""
    forward_weight: float | None = None
    """vdd: of the likelihood beside the exact gradient."""
    sparsity: float | None = None
    """vdd, nll, em: pressure on experts that are not needed; see --prune."""
    levels: Literal["sigma", "timestep"] | None = None
    """vdd-paper: how noise levels are drawn, for a teacher in EDM's way or in DDPM's."""
    sigma_low: float | None = None
    """vdd-paper"""
    sigma_high: float | None = None
    """vdd-paper"""
    timesteps: int | None = None
    """vdd-paper: T of the teacher's cosine schedule."""
    t_low: int | None = None
    """vdd-paper: first timestep, counted from 0."""
    t_high: int | None = None
    """vdd-paper: last timestep."""
    expert_updates: int | None = None
    """vdd-paper: to one of the gating."""
    eta: float | None = None
    """imc: weight of a curriculum's entropy, per number of a chunk."""

    def of(self, method: str) -> Objective:
        """The method with these changes; raises UserError for a setting that it does not have."""
        objective = OBJECTIVES[method]
        given = {name: value for name, value in asdict(self).items() if value is not None}
        known = [item.name for item in fields(objective)]
        if unknown := sorted(set(given) - set(known)):
            raise UserError(f"{method} has no setting {unknown[0]!r}, only {', '.join(known)}")
        try:
            return objective(**given)
        except ValueError as error:
            raise UserError(str(error)) from None


@dataclass(frozen=True)
class VisitedArgs:
    bundle: Path | None = None
    """Who drives the simulated arm there, such as a student distilled before; None: nobody."""
    task: str = "avoid"
    """What it does."""
    episodes: int = 50
    """How often, each time in another context, neither demonstrated nor judged in."""
    seed: int = 0

    def windows(self, teacher: Teacher) -> np.ndarray | None:
        """(N, To, Do), or None for nobody; UserError for a bundle of another robot or teacher."""
        if self.bundle is None:
            return None
        if self.episodes < 1:
            raise UserError(f"visited.episodes is {self.episodes}; use at least 1")
        from vdd_ros.sim.visited import visited_windows

        with progress("rolling out") as report:
            found = visited_windows(
                self.bundle, teacher.contract, self.task, self.episodes, self.seed, report
            )
        steps = len(teacher.normalizer.difference_std) + 1
        if found.shape[1] != steps:
            raise UserError(
                f"{self.bundle} sees {found.shape[1]} observations at a time, the teacher {steps}: "
                f"name a student of that teacher"
            )
        return found


@dataclass(frozen=True)
class Args:
    teacher: Path | None = None
    """Run folder of the teacher."""
    out: Path | None = None
    """Run folder to make, or to take up."""
    toy: Literal["ring8"] | None = None
    """ring8: eight narrow Gaussians on a circle, for a small student of its own that begins at
    k-means, and the settings of --toy-training."""
    method: str = "vdd"
    """vdd: likelihood, then exact reverse KL beside it; vdd-paper: as published; nll: likelihood of
    teacher samples; em: likelihood of the demonstrations; imc: curricula of the demonstrations, by
    which experts choose what they learn. em and imc learn nothing of the teacher."""
    threads: int = 2
    """Processor threads."""
    pool: PoolConfig = field(default_factory=PoolConfig)
    """Observations to distil on, each with one teacher sample; those between recorded ones are for
    methods that learn nothing from demonstrations: vdd and nll."""
    start: Start = "random"
    """Where the experts' centres begin: at random, or at k-means of the teacher's samples."""
    prune: float = 0.0
    """Take out experts whose gating stays below this share of the training windows, with 0 none;
    --objective.sparsity makes experts that are not needed fall below it."""
    tensorboard: bool = False
    """Write event files beside metrics.jsonl."""
    student: StudentConfig = field(default_factory=StudentConfig)
    allow_larger: bool = False
    """Distil also into a student of more parameters than its teacher."""
    objective: ObjectiveChanges = field(default_factory=ObjectiveChanges)
    """Settings of the method; what is not given stays as usual."""
    sampler: SamplerConfig = field(default_factory=SamplerConfig)
    """How the teacher is sampled."""
    visited: VisitedArgs = field(default_factory=VisitedArgs)
    """Further observations to distil on: those that a student gets into by itself."""
    training: TrainingConfig = TRAINING
    toy_training: TrainingConfig = toys.TRAINING


def main(args: Args) -> dict:
    """Distil and say how long it took; raises UserError: unknown method or missing teacher."""
    if args.method == "teacher-1":
        raise UserError(
            "teacher-1 is the teacher with one step and needs no training: `vdd export --run "
            "TEACHER --out BUNDLE --name teacher-1 --sampler-steps 1`"
        )
    if args.method not in OBJECTIVES:
        raise UserError(f"no method {args.method!r}: choose one of {', '.join(OBJECTIVES)}")
    use_threads(args.threads)
    objective = args.objective.of(args.method)
    with process_group():
        if args.toy is not None:
            return _distil_toy(args, objective)
        return _distil(args, objective)


def _distil(args: Args, objective: Objective) -> dict:
    if args.teacher is None or args.out is None:
        raise UserError("name the teacher's run with --teacher and a folder with --out, or a --toy")
    teacher = load_teacher(args.teacher)
    started = time.monotonic()
    with progress(f"distilling {args.method}") as report:
        student = distil(
            teacher,
            args.out,
            args.method,
            args.student,
            args.training,
            objective,
            args.pool,
            args.sampler,
            report,
            args.allow_larger,
            args.start,
            args.prune,
            args.tensorboard,
            args.visited.windows(teacher),
        )
    seconds = time.monotonic() - started
    share = count_parameters(student.moe) / count_parameters(teacher.denoiser)
    experts = student.config.n_experts
    print(
        f"{args.method} in {args.out}, {experts} experts, {share:.2f} of the teacher's parameters, "
        f"{seconds:.0f} s"
    )
    return {
        "run": args.out,
        "method": args.method,
        "experts": experts,
        "seconds": round(seconds, 1),
    }


def _distil_toy(args: Args, objective: Objective) -> dict:
    if args.teacher is not None or args.out is not None:
        raise UserError("a --toy has its own teacher and leaves no run: drop --teacher and --out")
    assert args.toy is not None
    toy = toys.TOYS[args.toy]()
    with progress(f"distilling {args.toy} by {args.method}") as report:
        mixture = toys.distil_toy(
            toy, objective, training=args.toy_training, report=report, prune=args.prune
        )
    found = toys.judge_toy(toy, mixture, args.toy_training.seed)
    print(
        f"{args.method} on {args.toy}: standard deviation {found['std']:.4f} (truly "
        f"{found['true_std']:g}), {found['modes']} of {len(toy.centres)} modes, KL to the truth "
        f"{found['kl']:.4f} nats"
    )
    return {"toy": args.toy, "method": args.method, "seed": args.toy_training.seed, **found}
