"""Export a trained run as a bundle, the folder that is deployed; checked against torch first."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from vdd_ros.acting import ActingRule
from vdd_ros.bundle import Bundle, write_bundle
from vdd_ros.errors import UserError

PARITY_WINDOWS = 200
TEACHER_REPLAN_TICKS = 20
AGREEMENT = 0.03  # [rad]; plans that turn back differ by more than twice as much
STUDENT_RULE = ActingRule(
    hold_ticks=8, agreement=AGREEMENT, output="sample", replan_ticks=1, ensemble_ticks=10
)
TEACHER_RULE = ActingRule(
    hold_ticks=TEACHER_REPLAN_TICKS,
    agreement=AGREEMENT,
    output="sample",
    replan_ticks=TEACHER_REPLAN_TICKS,
    ensemble_ticks=10,
)


@dataclass(frozen=True)
class Args:
    run: Path
    """Run folder of a student or a teacher."""
    out: Path
    """Bundle folder to write; an older bundle there is replaced."""
    name: str | None = None
    """Name of the policy; that of the run folder if not given."""
    teacher: Path | None = None
    """Run folder of the teacher whose held-out windows the graph is checked on (for a student)."""
    fidelity: Path | None = None
    """JSON file of fidelity figures to put into the certificate, as `vdd fidelity` writes it."""
    sampler_steps: int = 10
    """Network calls a chunk, for a teacher (Euler)."""
    candidates: int = 8
    """Samples of a teacher to choose from at each replanning."""
    rule: ActingRule | None = None
    """How actions are taken from the policy; the usual way for its kind if not given."""
    seed: int = 0


def main(args: Args) -> dict:
    """Write the bundle; raises UserError: a run is missing or onnxruntime disagrees with torch."""
    kind = _kind(args.run)
    fidelity = None
    if args.fidelity is not None:
        fidelity = _read(args.fidelity)
    bundle = (
        _export_student(args, fidelity) if kind == "student" else _export_teacher(args, fidelity)
    )
    print(f"bundle {bundle.name} in {bundle.folder}: {bundle.manifest.kind}, {bundle.rule}")
    return {"bundle": bundle.folder, "bundle_hash": bundle.manifest.bundle_hash}


def _export_student(args: Args, fidelity: dict | None) -> Bundle:
    from vdd_ros.policies.export import ActingStudent, student_graphs
    from vdd_ros.policies.learn import load_student, load_teacher, load_windows

    if args.teacher is None:
        raise UserError("a student is checked on its teacher's held-out windows: add --teacher RUN")
    student = load_student(args.run)
    teacher = load_teacher(args.teacher)
    windows = load_windows(teacher, held_out=True).observations
    shape = windows.shape[1:]
    policy_onnx, density_onnx = student_graphs(student.moe, student.normalizer, shape)
    acting = ActingStudent(student.moe, student.normalizer)
    rule = args.rule or STUDENT_RULE
    return write_bundle(
        args.out,
        name=args.name or args.run.name,
        kind="mixture",
        contract=student.contract,
        rule=rule,
        n_obs_steps=shape[0],
        horizon=student.normalizer.chunk_mean.shape[0],
        n_experts=student.config.n_experts,
        policy_onnx=policy_onnx,
        normalizer=student.normalizer.to_dict(),
        certificate=_certificate(args, rule, policy_onnx, acting, windows, fidelity),
        created=_now(),
        density_onnx=density_onnx,
    )


def _export_teacher(args: Args, fidelity: dict | None) -> Bundle:
    from vdd_ros.policies.export import ActingTeacher, teacher_graph
    from vdd_ros.policies.learn import load_teacher, load_windows
    from vdd_ros.policies.teacher import SamplerConfig

    teacher = load_teacher(args.run)
    windows = load_windows(teacher, held_out=True).observations
    sampler = SamplerConfig("euler", args.sampler_steps)
    parts = (teacher.denoiser, teacher.normalizer, teacher.config.noise, sampler)
    policy_onnx = teacher_graph(*parts, windows.shape[1:], args.candidates)
    rule = args.rule or TEACHER_RULE
    return write_bundle(
        args.out,
        name=args.name or args.run.name,
        kind="diffusion",
        contract=teacher.contract,
        rule=rule,
        n_obs_steps=teacher.config.n_obs_steps,
        horizon=teacher.config.horizon,
        n_experts=args.candidates,
        policy_onnx=policy_onnx,
        normalizer=teacher.normalizer.to_dict(),
        certificate=_certificate(args, rule, policy_onnx, ActingTeacher(*parts), windows, fidelity),
        created=_now(),
    )


def _certificate(
    args: Args, rule: ActingRule, policy_onnx: bytes, acting, windows: np.ndarray, fidelity
) -> dict:
    from vdd_ros.policies.certify import certificate, parity

    rng = np.random.default_rng(args.seed)
    chosen = windows[rng.permutation(len(windows))[:PARITY_WINDOWS]]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "policy.onnx"
        path.write_bytes(policy_onnx)
        found = parity(path, acting.eval(), chosen, args.seed)
    return certificate(args.run, str(rule), found, fidelity)


def _kind(run: Path) -> str:
    return str(_read(run / "run.json").get("kind"))


def _read(path: Path) -> dict:
    try:
        raw = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}): name what vdd wrote") from None
    if not isinstance(raw, dict):
        raise UserError(f"{path} is not a JSON object: name what vdd wrote")
    return raw


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
