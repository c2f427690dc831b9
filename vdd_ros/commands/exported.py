"""What a run brings into its bundle: graphs, and what they are checked on and guarded by."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.normalizer import Normalizer
from vdd_ros.ood_detector import OodDetector
from vdd_ros.policies.acting_few_step import ActingFewStep, few_step_graph
from vdd_ros.policies.encoder import Encoder
from vdd_ros.policies.expert_graph import expert_graph, require_student_s_own
from vdd_ros.policies.export import (
    ActingStudent,
    ActingTeacher,
    StudentDensity,
    acting_windows,
    student_graphs,
    teacher_graph,
)
from vdd_ros.policies.ood import fit_detector
from vdd_ros.policies.pictures import Pictures
from vdd_ros.policies.runs import (
    FewStepStudent,
    Student,
    Teacher,
    load_any_student,
    load_teacher,
    load_windows,
)
from vdd_ros.policies.samplers.guided import Refinement
from vdd_ros.policies.stored_windows import open_windows
from vdd_ros.policies.teacher import SamplerConfig
from vdd_ros.start_range import StartRange, start_range

if TYPE_CHECKING:
    from torch import nn

    from vdd_ros.commands.export import Args, Refine


class Exported(NamedTuple):
    """method, nfe, is_stochastic: as in the bundle's manifest; acting, density: the torch modules
    that policy_onnx and density_onnx were made of; windows: (N, To, Do), held out, as it is given
    them; recorded_in: folder of the run that has them, and those trained on; expert_onnx: of a
    student that has one; encoder: of its images; pictures: what those windows see."""

    kind: Literal["mixture", "diffusion"]
    method: str
    nfe: int | None
    is_stochastic: bool
    contract: Contract
    normalizer: Normalizer
    n_experts: int
    acting: nn.Module
    density: nn.Module | None
    policy_onnx: bytes
    density_onnx: bytes | None
    windows: np.ndarray
    recorded_in: Path
    start: StartRange | None
    ood_detector: OodDetector
    expert_onnx: bytes | None = None
    encoder: Encoder | None = None
    pictures: Pictures | None = None


def exported_student(args: Args) -> Exported:
    """Raises UserError where a run is missing or damaged."""
    if args.teacher is None:
        raise UserError(
            f"a student is checked on its teacher's held-out windows, and no run beside {args.run} "
            "is its teacher: add --teacher RUN"
        )
    student, teacher = load_any_student(args.run), load_teacher(args.teacher)
    if isinstance(student, Student):
        _require_not_refined(args, "a mixture")
        return _mixture(args, student, teacher)
    return _few_step(args, student, teacher)


def _mixture(args: Args, student: Student, teacher: Teacher) -> Exported:
    held_out = load_windows(teacher, held_out=True)
    windows = acting_windows(held_out, student.encoder)
    parts, shape = (student.moe, student.normalizer), windows.shape[1:]
    policy_onnx, density_onnx = student_graphs(*parts, shape)
    acting = ActingStudent(*parts)
    # which knows a window whose rows are alike, and those of images are not
    expert_onnx = None if student.encoder is not None else expert_graph(*parts, shape)
    if expert_onnx is not None:
        require_student_s_own(expert_onnx, acting, windows)
    return Exported(
        kind="mixture",
        method=student.method,
        nfe=1,
        is_stochastic=False,
        contract=student.contract,
        normalizer=student.normalizer,
        n_experts=student.config.n_experts,
        acting=acting,
        density=StudentDensity(*parts),
        policy_onnx=policy_onnx,
        density_onnx=density_onnx,
        windows=windows,
        recorded_in=teacher.folder,
        start=_start(teacher),
        ood_detector=_detector(args, teacher, student),
        expert_onnx=expert_onnx,
        encoder=student.encoder,
        pictures=held_out.pictures,
    )


def _few_step(args: Args, student: FewStepStudent, teacher: Teacher) -> Exported:
    if student.encoder is not None:
        raise UserError(
            f"{student.folder} sees images, and so far a mixture or a teacher can be exported with "
            "them: distil by vdd, vdd-paper or nll"
        )
    windows = load_windows(teacher, held_out=True).observations
    refinement = _refinement(args.refine, student, teacher)
    parts = (student.net, student.normalizer, student.objective, teacher.denoiser, refinement)
    acting = ActingFewStep(*parts)
    refined = f", refined with weight {refinement.weight:g}" if acting.levels else ""
    return Exported(
        kind="diffusion",
        method=student.method + refined,
        nfe=student.nfe and student.nfe + len(acting.levels),
        is_stochastic=acting.drawn > 0 or bool(acting.levels),
        contract=student.contract,
        normalizer=student.normalizer,
        n_experts=args.candidates,
        acting=acting,
        density=None,
        policy_onnx=few_step_graph(acting, windows.shape[1:], args.candidates),
        density_onnx=None,
        windows=windows,
        recorded_in=teacher.folder,
        start=_start(teacher),
        ood_detector=_detector(args, teacher),
    )


def _refinement(refine: Refine, student: FewStepStudent, teacher: Teacher) -> Refinement:
    try:
        refinement = Refinement(refine.weight, refine.steps, refine.last)
    except ValueError as error:
        raise UserError(f"--refine: {error}") from None
    if not refine.weight:
        return refinement
    if student.normalizer.to_dict() != teacher.normalizer.to_dict():
        raise UserError(f"{teacher.folder} is not the teacher of this student: it cannot refine it")
    if not student.objective.refined_levels(refinement):
        raise UserError(
            f"{student.method} has no step to refine: name the noise level of a refinement at the "
            "end with --refine.last (such as 0.1), and --refine.steps of 1 or more"
        )
    return refinement


def _require_not_refined(args: Args, what: str) -> None:
    if args.refine.weight:
        raise UserError(f"--refine is for few-step students, and {args.run} is {what}")


def exported_teacher(args: Args) -> Exported:
    """Raises UserError where the run is missing or damaged."""
    _require_not_refined(args, "a teacher")
    teacher = load_teacher(args.run)
    held_out = load_windows(teacher, held_out=True)
    windows = acting_windows(held_out, teacher.encoder)
    sampler = SamplerConfig("euler", args.sampler_steps)
    parts = (teacher.denoiser, teacher.normalizer, teacher.config.sampling_noise, sampler)
    return Exported(
        kind="diffusion",
        method="teacher",
        nfe=sampler.nfe,
        is_stochastic=False,
        contract=teacher.contract,
        normalizer=teacher.normalizer,
        n_experts=args.candidates,
        acting=ActingTeacher(*parts),
        density=None,
        policy_onnx=teacher_graph(*parts, windows.shape[1:], args.candidates),
        density_onnx=None,
        windows=windows,
        recorded_in=teacher.folder,
        start=_start(teacher),
        ood_detector=_detector(args, teacher),
        encoder=teacher.encoder,
        pictures=held_out.pictures,
    )


def _detector(args: Args, teacher: Teacher, student: Student | None = None) -> OodDetector:
    """As `fit_detector`, of what was asked for."""
    return fit_detector(teacher, args.calibration, args.false_alarm_rate, args.seed, student)


def _start(teacher: Teacher) -> StartRange | None:
    """Where the demonstrations began that it was trained on."""
    stored = open_windows(teacher.folder, held_out=False)
    windows = stored.at(stored.firsts())
    names, corrections = teacher.notes["trained_on"], teacher.notes.get("corrections", ())
    begun = np.flatnonzero([name not in corrections for name in names])
    windows = windows.of_episodes(begun)  # a correction begins where a policy had got to
    if not len(windows.episode):
        return None
    return start_range(teacher.contract, windows.observations, windows.episode)
