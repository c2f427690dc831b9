"""Distil a teacher into a mixture of Gaussian experts: one network call instead of many."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from vdd_ros.commands.progress import progress
from vdd_ros.errors import UserError
from vdd_ros.policies.learn import distil, load_teacher
from vdd_ros.policies.moe import StudentConfig
from vdd_ros.policies.nets import count_parameters
from vdd_ros.policies.objectives import OBJECTIVES, Vdd
from vdd_ros.policies.teacher import SamplerConfig
from vdd_ros.policies.training import TrainingConfig, use_threads

TRAINING = TrainingConfig(steps=6_000, batch_size=256, learning_rate=1e-3, ema_decay=0.995)


@dataclass(frozen=True)
class Args:
    teacher: Path
    """Run folder of the teacher."""
    out: Path
    """Run folder to make, or to take up."""
    method: str = "vdd"
    """vdd: likelihood, then exact reverse KL beside it; vdd-paper: as published; nll: likelihood of
    teacher samples; em: likelihood of the demonstrations, which needs no teacher."""
    threads: int = 2
    """Processor threads."""
    pool: int = 120_000
    """Training windows to distil on, each with one teacher sample."""
    student: StudentConfig = field(default_factory=StudentConfig)
    objective: Vdd = field(default_factory=Vdd)
    """Settings of --method vdd; the other methods have none worth changing."""
    sampler: SamplerConfig = field(default_factory=SamplerConfig)
    """How the teacher is sampled."""
    training: TrainingConfig = TRAINING


def main(args: Args) -> dict:
    """Distil and say how long it took; raises UserError: unknown method or missing teacher."""
    if args.method not in OBJECTIVES:
        raise UserError(f"no method {args.method!r}: choose one of {', '.join(OBJECTIVES)}")
    use_threads(args.threads)
    teacher = load_teacher(args.teacher)
    objective = args.objective if args.method == "vdd" else OBJECTIVES[args.method]()
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
        )
    seconds = time.monotonic() - started
    share = count_parameters(student.moe) / count_parameters(teacher.denoiser)
    print(f"{args.method} in {args.out}, {share:.2f} of the teacher's parameters, {seconds:.0f} s")
    return {"run": args.out, "method": args.method, "seconds": round(seconds, 1)}
