"""Export a trained run as a bundle, the folder that is deployed; checked against torch first."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from vdd_ros.acting import ActingRule
from vdd_ros.bundle import acting_text, write_bundle
from vdd_ros.errors import UserError
from vdd_ros.ood_detector import OodDetector
from vdd_ros.start_range import StartRange, start_range

if TYPE_CHECKING:
    from torch import nn

    from vdd_ros.conformal import Threshold
    from vdd_ros.contract import Contract
    from vdd_ros.normalizer import Normalizer
    from vdd_ros.policies.runs import Teacher

PARITY_WINDOWS = 200
AGREEMENT = 0.03  # [rad]; plans that turn back differ by more than twice as much
STUDENT_RULE = ActingRule(
    hold_ticks=5,
    agreement=AGREEMENT,
    blur=0.9,
    output="sample",
    draws=8,
    tail_nats=2.0,
    replan_ticks=1,
    ensemble_ticks=5,
)
TEACHER_RULE = ActingRule(
    hold_ticks=5, agreement=AGREEMENT, output="sample", replan_ticks=5, ensemble_ticks=10
)


@dataclass(frozen=True)
class RuleChanges:
    """What is to differ from the usual acting rule of the policy's kind; see ActingRule."""

    expert: Literal["draw", "argmax"] | None = None
    hold_ticks: int | None = None
    sticky_bound: float | None = None
    agreement: float | None = None
    blur: float | None = None
    output: Literal["mean", "sample"] | None = None
    draws: int | None = None
    tail_nats: float | None = None
    replan_ticks: int | None = None
    ensemble_ticks: int | None = None

    def of(self, usual: ActingRule) -> ActingRule:
        """The usual rule with these changes; means are not drawn. Raises UserError where it is
        none."""
        if self.output == "mean":
            usual = replace(usual, output="mean", draws=1, tail_nats=0.0)
        if self.agreement == 0:
            usual = replace(usual, agreement=0.0, blur=0.0)
        given = {name: value for name, value in asdict(self).items() if value is not None}
        return replace(usual, **given)


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
    candidates: int = 16
    """Samples of a teacher to choose from at each replanning."""
    calibration: Path | None = None
    """Folder of further recorded episodes: thresholds of what is out of distribution are calibrated
    on them and on those that were held out. Nothing is trained on them."""
    false_alarm_rate: float = 0.05
    """Of those thresholds: largest share of episodes like these in which there is an alarm. Fewer
    than 19 scenes do not allow for .05; the smallest rate possible is then taken, and said."""
    rule: RuleChanges = field(default_factory=RuleChanges)
    seed: int = 0


class _Policy(NamedTuple):
    """What a run brings into its bundle. acting: the torch module that policy_onnx was made of;
    windows: (N, To, Do), held out."""

    kind: Literal["mixture", "diffusion"]
    contract: Contract
    normalizer: Normalizer
    usual_rule: ActingRule
    n_experts: int
    acting: nn.Module
    policy_onnx: bytes
    density_onnx: bytes | None
    windows: np.ndarray
    start: StartRange | None
    ood_detector: OodDetector


def main(args: Args) -> dict:
    """Write the bundle; raises UserError: a run is missing or onnxruntime disagrees with torch."""
    kind = _kind(args.run)
    fidelity = None if args.fidelity is None else _read(args.fidelity)
    args.rule.of(STUDENT_RULE)  # a bad rule is told at once
    if not 0.0 < args.false_alarm_rate < 1.0:
        raise UserError(f"false_alarm_rate is {args.false_alarm_rate}; it lies between 0 and 1")
    policy = _student(args) if kind == "student" else _teacher(args)
    rule = args.rule.of(policy.usual_rule)
    bundle = write_bundle(
        args.out,
        name=args.name or args.run.name,
        kind=policy.kind,
        contract=policy.contract,
        rule=rule,
        n_obs_steps=policy.windows.shape[1],
        horizon=policy.normalizer.chunk_mean.shape[0],
        n_experts=policy.n_experts,
        policy_onnx=policy.policy_onnx,
        normalizer=policy.normalizer.to_dict(),
        certificate=_certificate(args, rule, policy, fidelity),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        density_onnx=policy.density_onnx,
        start=policy.start,
        ood_detector=policy.ood_detector,
    )
    print(f"bundle {bundle.name} in {bundle.folder}: {bundle.manifest.kind}, {bundle.acting}")
    print(_of_threshold(policy.ood_detector.distance))
    return {"bundle": bundle.folder, "bundle_hash": bundle.manifest.bundle_hash}


def _student(args: Args) -> _Policy:
    from vdd_ros.policies.export import ActingStudent, student_graphs
    from vdd_ros.policies.ood import fit_detector
    from vdd_ros.policies.runs import load_student, load_teacher, load_windows

    if args.teacher is None:
        raise UserError("a student is checked on its teacher's held-out windows: add --teacher RUN")
    student, teacher = load_student(args.run), load_teacher(args.teacher)
    windows = load_windows(teacher, held_out=True).observations
    policy_onnx, density_onnx = student_graphs(student.moe, student.normalizer, windows.shape[1:])
    detector = fit_detector(teacher, args.calibration, args.false_alarm_rate, args.seed, student)
    return _Policy(
        "mixture",
        student.contract,
        student.normalizer,
        STUDENT_RULE,
        student.config.n_experts,
        ActingStudent(student.moe, student.normalizer),
        policy_onnx,
        density_onnx,
        windows,
        _start(teacher),
        detector,
    )


def _teacher(args: Args) -> _Policy:
    from vdd_ros.policies.export import ActingTeacher, teacher_graph
    from vdd_ros.policies.ood import fit_detector
    from vdd_ros.policies.runs import load_teacher, load_windows
    from vdd_ros.policies.teacher import SamplerConfig

    teacher = load_teacher(args.run)
    windows = load_windows(teacher, held_out=True).observations
    sampler = SamplerConfig("euler", args.sampler_steps)
    parts = (teacher.denoiser, teacher.normalizer, teacher.config.sampling_noise, sampler)
    return _Policy(
        "diffusion",
        teacher.contract,
        teacher.normalizer,
        TEACHER_RULE,
        args.candidates,
        ActingTeacher(*parts),
        teacher_graph(*parts, windows.shape[1:], args.candidates),
        None,
        windows,
        _start(teacher),
        fit_detector(teacher, args.calibration, args.false_alarm_rate, args.seed),
    )


def _start(teacher: Teacher) -> StartRange | None:
    """Where the demonstrations began that it was trained on."""
    from vdd_ros.policies.stored_windows import open_windows

    stored = open_windows(teacher.folder, held_out=False)
    windows = stored.at(stored.firsts())
    names, corrections = teacher.notes["trained_on"], teacher.notes.get("corrections", ())
    begun = np.flatnonzero([name not in corrections for name in names])
    windows = windows.of_episodes(begun)  # a correction begins where a policy had got to
    if not len(windows.episode):
        return None
    return start_range(teacher.contract, windows.observations, windows.episode)


def _of_threshold(distance: Threshold | None) -> str:
    """What the bundle can tell of observations, in one line."""
    if distance is None:
        return "too few scenes held out for a threshold of what is out of distribution"
    return (
        f"out of distribution: further than {distance.value:.3g} from the training set, a false "
        f"alarm in at most {distance.false_alarm_rate:.1%} of episodes (calibrated on "
        f"{distance.episodes} in {distance.scenes} scenes)"
    )


def _certificate(args: Args, rule: ActingRule, policy: _Policy, fidelity: dict | None) -> dict:
    from vdd_ros.policies.certify import certificate, parity

    rng = np.random.default_rng(args.seed)
    chosen = policy.windows[rng.permutation(len(policy.windows))[:PARITY_WINDOWS]]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "policy.onnx"
        path.write_bytes(policy.policy_onnx)
        found = parity(path, policy.acting.eval(), chosen, args.seed)
    return certificate(args.run, acting_text(policy.kind, policy.n_experts, rule), found, fidelity)


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
