"""Export a trained run as a bundle, the folder that is deployed; checked against torch first."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vdd_ros.acting import ActingRule
from vdd_ros.bounded_file import read_object
from vdd_ros.bundle import acting_text, write_bundle
from vdd_ros.bundle_manifest import PAGE, Precision
from vdd_ros.certificate import Certificate
from vdd_ros.certificate_sources import fidelity_of
from vdd_ros.errors import UserError

if TYPE_CHECKING:
    from vdd_ros.commands.exported import Exported
    from vdd_ros.conformal import Threshold

FIRST = "--run"  # vdd export RUN --out BUNDLE
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
class Refine:
    """How a few-step student is refined by its teacher while it is sampled (Distillation++)."""

    weight: float = 0.0
    """How far a clean chunk moves towards what the teacher makes of it, from 0, not at all, to
    1."""
    steps: int = 1
    """The first so many steps are refined; each costs one evaluation of the teacher."""
    last: float = 0.0
    """Noise level of the refinement of a last step, the only one of students of one call; 0 leaves
    it alone."""


@dataclass(frozen=True)
class Args:
    run: Path
    """Run folder of a student or a teacher; with --tensorrt, a bundle. As the first word it needs
    no --run."""
    out: Path | None = None
    """Bundle folder to write; an older bundle there is replaced."""
    name: str | None = None
    """Name of the policy; that of the run folder if not given."""
    teacher: Path | None = None
    """Run folder of the teacher whose held-out windows the graph is checked on (for a student), and
    which refines its samples; the one beside the student's own if not given."""
    fidelity: Path | None = None
    """JSON file of fidelity figures to put into the certificate, as `vdd fidelity` writes it."""
    sampler_steps: int = 10
    """Network calls a chunk, for a teacher (Euler); a student has its own."""
    candidates: int = 16
    """Samples to choose from at each replanning, of a policy that makes chunks of noise: a teacher,
    or a student in its form."""
    calibration: Path | None = None
    """Folder of further recorded episodes: thresholds of what is out of distribution are calibrated
    on them and on those that were held out. Nothing is trained on them."""
    false_alarm_rate: float = 0.05
    """Of those thresholds: largest share of episodes like these in which there is an alarm. Fewer
    than 19 scenes do not allow for .05; the smallest rate possible is then taken, and said."""
    refine: Refine = field(default_factory=Refine)
    rule: RuleChanges = field(default_factory=RuleChanges)
    key: Path | None = None
    """Private key that signs the bundle, or the engines (vdd keygen)."""
    seed: int = 0
    precision: Precision = "fp32"
    """Of the products with the network's weights (docs/jetson.md); refused where the policy differs
    by more than `parity` of its contract allows."""
    tensorrt: bool = False
    """On the computer with the GPU: build the engines of the bundle that --run names, and compare
    them with it."""
    results: Path | None = None
    """Folder of device results, engines among them; that of $VDD_DEVICE_RESULTS, or of this user,
    if not given."""


def main(args: Args) -> dict:
    """Write the bundle; raises UserError: a run is missing or onnxruntime disagrees with torch."""
    if args.tensorrt:
        from vdd_ros.commands.export_engine import export_engines

        return export_engines(args.run, args.results, args.key, args.seed)
    told = read_object(args.run / "run.json", "a folder that `vdd train` or `vdd distill` made")
    kind = str(told.get("kind"))
    if kind == "student" and args.teacher is None:
        args = replace(args, teacher=_teacher_beside(args.run, told.get("notes", {})))
    if args.out is None:
        raise UserError("name the bundle to write: --out BUNDLE")
    args.rule.of(STUDENT_RULE)  # a bad rule is told at once
    for name in ("sampler_steps", "candidates"):
        if getattr(args, name) < 1:
            raise UserError(f"{name} is {getattr(args, name)}; write 1 or more")
    if not 0.0 < args.false_alarm_rate < 1.0:
        raise UserError(
            f"false_alarm_rate is {args.false_alarm_rate}; write a number between 0 and 1"
        )
    from vdd_ros.commands.export_parity import checked
    from vdd_ros.commands.exported import exported_student, exported_teacher
    from vdd_ros.policies.export import encoder_graphs

    _require_own(args, kind, told.get("notes", {}))
    policy = exported_student(args) if kind == "student" else exported_teacher(args)
    rule = args.rule.of(STUDENT_RULE if policy.kind == "mixture" else TEACHER_RULE)
    encoder = policy.encoder
    encoders = None if encoder is None else encoder_graphs(encoder, policy.contract)
    found = checked(policy, args.precision, args.seed, Path(f"{args.out}.parity.json"), encoders)
    bundle = write_bundle(
        args.out,
        name=args.name or args.run.name,
        kind=policy.kind,
        contract=policy.contract,
        rule=rule,
        n_obs_steps=policy.windows.shape[1],
        horizon=policy.normalizer.chunk_mean.shape[0],
        n_experts=policy.n_experts,
        policy_onnx=found.policy_onnx,
        normalizer=policy.normalizer.to_dict(),
        certificate=_certificate(args, rule, policy, told.get("notes", {}), found.parity).to_dict(),
        density_onnx=found.density_onnx,
        expert_onnx=found.expert_onnx,
        start=policy.start,
        ood_detector=policy.ood_detector,
        reference=found.reference,
        recorded=found.recorded,
        method=policy.method,
        nfe=policy.nfe,
        is_stochastic=policy.is_stochastic,
        precision=None if args.precision == "fp32" else args.precision,
        key=args.key,
        encoders=found.encoders or None,
        image_features=None if encoder is None else encoder.config.features,
    )
    print(f"bundle {bundle.name} in {bundle.folder}: {bundle.manifest.kind}, {bundle.acting}")
    print(_of_threshold(policy.ood_detector.distance))
    grade = bundle.certificate and bundle.certificate.grade
    print(f"certificate: grade {grade}, see {bundle.folder / PAGE}")
    return {
        "bundle": bundle.folder,
        "bundle_hash": bundle.manifest.bundle_hash,
        "policy_hash": bundle.manifest.policy_hash,
        "grade": grade,
    }


def _teacher_beside(run: Path, notes: dict) -> Path | None:
    """The run in the same folder that this student was distilled from; None where it lies
    elsewhere, or nobody knows."""
    from vdd_ros.policies.checkpoint import checkpoint_hash

    for path in sorted(run.absolute().parent.glob("*/run.json")):
        with suppress(UserError):  # a run of somebody else, which may be damaged
            is_teacher = read_object(path).get("kind") == "teacher"
            if is_teacher and checkpoint_hash(path.parent) == notes.get("teacher_hash"):
                return path.parent
    return None


def _of_threshold(distance: Threshold | None) -> str:
    """What the bundle can tell of observations, in one line."""
    if distance is None:
        return "too few scenes held out for a threshold of what is out of distribution"
    return (
        f"out of distribution: further than {distance.value:.3g} from the training set, a false "
        f"alarm in at most {distance.false_alarm_rate:.1%} of episodes (calibrated on "
        f"{distance.episodes} in {distance.scenes} scenes)"
    )


def _certificate(
    args: Args, rule: ActingRule, policy: Exported, notes: dict, parity: dict
) -> Certificate:
    from vdd_ros.policies.certify import certificate, provenance_of

    teacher = args.run if args.teacher is None or policy.method == "teacher" else args.teacher
    origin = provenance_of(args.run, teacher, policy.contract, notes)
    fidelity = None
    if args.fidelity is not None:
        own = origin.run_hash, origin.teacher_hash
        fidelity = fidelity_of(read_object(args.fidelity), *own, str(args.fidelity))
    acting = acting_text(policy.kind, policy.n_experts, rule)
    parts = args.run, acting, origin, parity, fidelity, policy.ood_detector
    return certificate(*parts, args.precision, policy.contract.certificate)


def _require_own(args: Args, kind: str, notes: dict) -> None:
    """Raises UserError for another run's teacher or figures, or a key that is none: before minutes
    are spent on what cannot be finished."""
    from vdd_ros.policies.certify import require_teacher
    from vdd_ros.policies.checkpoint import checkpoint_hash
    from vdd_ros.signature import require_key

    if args.key is not None:
        require_key(args.key)
    if kind == "student" and args.teacher is None:
        return  # which is told by what needs it
    teacher = args.teacher if kind == "student" and args.teacher is not None else args.run
    require_teacher(args.run, teacher, notes)
    if args.fidelity is not None:
        own = checkpoint_hash(args.run), checkpoint_hash(teacher)
        fidelity_of(read_object(args.fidelity), *own, str(args.fidelity))
