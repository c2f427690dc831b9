"""Distil a teacher into a student that needs one network call, or few, instead of many.

The student is a mixture of Gaussian experts, or a network in its teacher's form that makes a chunk
of noise; --list names the methods. With --toy the teacher is the exact score of a distribution that
is known, nothing is written, and the outcome is compared with the truth. torchrun shares the work
among processes, see `vdd train`.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from tyro.conf import UseAppendAction, arg

from vdd_ros.commands.method_list import TEACHER_1, methods, print_methods, print_settings
from vdd_ros.commands.progress import progress
from vdd_ros.errors import UserError
from vdd_ros.policies import toys
from vdd_ros.policies.device import Device, on_device
from vdd_ros.policies.distil import EncoderUse, Start, distil
from vdd_ros.policies.distil_few_step import distil_few_step
from vdd_ros.policies.distributed import process_group
from vdd_ros.policies.moe import StudentConfig
from vdd_ros.policies.nets import count_parameters
from vdd_ros.policies.objectives import FewStep, Objective
from vdd_ros.policies.objectives.settings import objective_of, read_words
from vdd_ros.policies.pool import PoolConfig
from vdd_ros.policies.runs import AnyStudent, Student, Teacher, load_teacher
from vdd_ros.policies.teacher import SamplerConfig
from vdd_ros.policies.training import Report, TrainingConfig, use_threads
from vdd_ros.teleop.cartesian import read_model

TRAINING = TrainingConfig(steps=6_000, batch_size=256, learning_rate=1e-3, ema_decay=0.995)


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
    """One of those that --list names."""
    objective: Annotated[
        tuple[tuple[str, ...], ...], UseAppendAction, arg(metavar="NAME=VALUE ...")
    ] = ()
    """Settings of the method that are to differ from its own, which --help-settings shows."""
    list: bool = False
    """List the methods, each with its paper, and distil nothing."""
    help_settings: bool = False
    """Show the method's settings, and distil nothing."""
    threads: int = 2
    """Processor threads."""
    device: Device = "cpu"
    """What computes: the processor, or an NVIDIA GPU, as torch is built for it."""
    pool: PoolConfig = field(default_factory=PoolConfig)
    """Observations to distil on, each with one teacher sample; those between recorded ones are for
    methods that learn nothing from demonstrations, such as vdd, nll and kd."""
    start: Start = "random"
    """Where a mixture's centres begin: at random, or at k-means of the teacher's samples."""
    prune: float = 0.0
    """Take out experts whose gating stays below this share of the training windows, with 0 none;
    --objective sparsity=VALUE makes experts that are not needed fall below it."""
    encoder: EncoderUse = "frozen"
    """Of a teacher that sees images: its encoder, whose features are kept, or one that begins as it
    and learns with the mixture, which takes as long as the teacher did."""
    tensorboard: bool = False
    """Write event files beside metrics.jsonl."""
    student: StudentConfig = field(default_factory=StudentConfig)
    """Of a mixture; other students have their teacher's form."""
    kinematics: Path | None = None
    """How joints move the tool, a file as in config/kinematics, for --objective space=tool."""
    allow_larger: bool = False
    """Distil also into a student of more parameters than its teacher."""
    sampler: SamplerConfig = field(default_factory=SamplerConfig)
    """How the teacher is sampled."""
    visited: VisitedArgs = field(default_factory=VisitedArgs)
    """Further observations to distil on: those that a student gets into by itself."""
    training: TrainingConfig = TRAINING
    toy_training: TrainingConfig = toys.TRAINING


def main(args: Args) -> dict:
    """Distil and say how long it took; raises UserError: unknown method or missing teacher."""
    if args.list:
        print_methods()
        return {"methods": methods()}
    if args.method == TEACHER_1:
        raise UserError(
            "teacher-1 is the teacher with one step and needs no training: `vdd export --run "
            "TEACHER --out BUNDLE --name teacher-1 --sampler-steps 1`"
        )
    given = read_words(args.method, [word for words in args.objective for word in words])
    objective = objective_of(args.method, given)
    if args.help_settings:
        print_settings(args.method)
        return {"method": args.method, "settings": asdict(objective)}
    if isinstance(objective, FewStep):
        _require_nothing_of_mixtures(args)
    if args.kinematics is not None and getattr(objective, "space", None) != "tool":
        raise UserError("--kinematics is for --objective space=tool: write both or neither")
    use_threads(args.threads)
    with on_device(args.device), process_group():
        if args.toy is not None:
            return _distil_toy(args, objective)
        return _distil(args, given)


def _distil(args: Args, given: dict[str, str]) -> dict:
    if args.teacher is None or args.out is None:
        raise UserError("name the teacher's run with --teacher and a folder with --out, or a --toy")
    teacher = load_teacher(args.teacher)
    objective = objective_of(args.method, given, teacher.config)
    started = time.monotonic()
    with progress(f"distilling {args.method}") as report:
        student = _student(args, args.out, teacher, objective, report)
    seconds = time.monotonic() - started
    net = student.moe if isinstance(student, Student) else student.net
    share = count_parameters(net) / count_parameters(teacher.denoiser)
    experts = student.config.n_experts if isinstance(student, Student) else None
    nfe = 1 if isinstance(student, Student) else student.nfe
    form = f"{experts} experts" if experts else f"{nfe} network calls a chunk"
    print(
        f"{args.method} in {args.out}, {form}, {share:.2f} of the teacher's parameters, "
        f"{seconds:.0f} s"
    )
    return {
        "run": args.out,
        "method": args.method,
        "experts": experts,
        "nfe": nfe,
        "seconds": round(seconds, 1),
    }


def _student(
    args: Args, out: Path, teacher: Teacher, objective: Objective, report: Report
) -> AnyStudent:
    visited = args.visited.windows(teacher)
    if isinstance(objective, FewStep):
        return distil_few_step(
            teacher,
            out,
            args.method,
            args.training,
            objective,
            args.pool,
            args.sampler,
            report,
            args.allow_larger,
            args.tensorboard,
            visited,
            None if args.kinematics is None else read_model(args.kinematics),
        )
    return distil(
        teacher,
        out,
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
        visited,
        args.encoder,
    )


def _require_nothing_of_mixtures(args: Args) -> None:
    """Raise UserError for what a student in its teacher's form cannot have."""
    given = {
        "--toy": args.toy is not None,
        "--student": args.student != StudentConfig(),
        "--start": args.start != "random",
        "--prune": args.prune != 0.0,
        "--encoder": args.encoder != "frozen",
    }
    if of_mixtures := [name for name, is_given in given.items() if is_given]:
        raise UserError(
            f"{args.method} distils into a net in its teacher's form, and {of_mixtures[0]} is for "
            "mixtures: leave it out"
        )


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
