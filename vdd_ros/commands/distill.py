"""Distil a teacher into a mixture of Gaussian experts: one network call instead of many.

With --toy the teacher is the exact score of a distribution that is known, nothing is written, and
the outcome is compared with the truth.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vdd_ros.commands.progress import progress
from vdd_ros.errors import UserError
from vdd_ros.policies import toys
from vdd_ros.policies.learn import distil, load_teacher
from vdd_ros.policies.moe import StudentConfig
from vdd_ros.policies.nets import count_parameters
from vdd_ros.policies.objectives import OBJECTIVES, Objective, Vdd
from vdd_ros.policies.teacher import SamplerConfig
from vdd_ros.policies.training import TrainingConfig, use_threads

TRAINING = TrainingConfig(steps=6_000, batch_size=256, learning_rate=1e-3, ema_decay=0.995)


@dataclass(frozen=True)
class Args:
    teacher: Path | None = None
    """Run folder of the teacher."""
    out: Path | None = None
    """Run folder to make, or to take up."""
    toy: Literal["ring8"] | None = None
    """ring8: eight narrow Gaussians on a circle, for a small student of its own and the settings of
    --toy-training."""
    method: str = "vdd"
    """vdd: likelihood, then exact reverse KL beside it; vdd-paper: as published; nll: likelihood of
    teacher samples; em: likelihood of the demonstrations, which needs no teacher."""
    threads: int = 2
    """Processor threads."""
    pool: int = 120_000
    """Training windows to distil on, each with one teacher sample."""
    student: StudentConfig = field(default_factory=StudentConfig)
    allow_larger: bool = False
    """Distil also into a student of more parameters than its teacher."""
    objective: Vdd = field(default_factory=Vdd)
    """Settings of --method vdd; the other methods have none worth changing."""
    sampler: SamplerConfig = field(default_factory=SamplerConfig)
    """How the teacher is sampled."""
    training: TrainingConfig = TRAINING
    toy_training: TrainingConfig = toys.TRAINING


def main(args: Args) -> dict:
    """Distil and say how long it took; raises UserError: unknown method or missing teacher."""
    if args.method not in OBJECTIVES:
        raise UserError(f"no method {args.method!r}: choose one of {', '.join(OBJECTIVES)}")
    use_threads(args.threads)
    objective = args.objective if args.method == "vdd" else OBJECTIVES[args.method]()
    if args.toy is not None:
        return _distil_toy(args, objective)
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
        )
    seconds = time.monotonic() - started
    share = count_parameters(student.moe) / count_parameters(teacher.denoiser)
    print(f"{args.method} in {args.out}, {share:.2f} of the teacher's parameters, {seconds:.0f} s")
    return {"run": args.out, "method": args.method, "seconds": round(seconds, 1)}


def _distil_toy(args: Args, objective: Objective) -> dict:
    if args.teacher is not None or args.out is not None:
        raise UserError("a --toy has its own teacher and leaves no run: drop --teacher and --out")
    assert args.toy is not None
    toy = toys.TOYS[args.toy]()
    with progress(f"distilling {args.toy} by {args.method}") as report:
        mixture = toys.distil_toy(toy, objective, training=args.toy_training, report=report)
    found = toys.judge_toy(toy, mixture, args.toy_training.seed)
    print(
        f"{args.method} on {args.toy}: standard deviation {found['std']:.4f} (truly "
        f"{found['true_std']:g}), {found['modes']} of {len(toy.centres)} modes, KL to the truth "
        f"{found['kl']:.4f} nats"
    )
    return {"toy": args.toy, "method": args.method, "seed": args.toy_training.seed, **found}
