"""What an export finds out about a policy: whether its graph computes what the network does, and
what it was made of."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn

from vdd_ros.bundle_manifest import Precision, encoder_file
from vdd_ros.certificate import Certificate
from vdd_ros.certificate_demands import CertificateDemands
from vdd_ros.certificate_parts import Alarm, Fidelity, Provenance
from vdd_ros.code_version import code_hash, package_version
from vdd_ros.conformal import Threshold
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.eyes import Eyes, made_pictures
from vdd_ros.inference import OnnxPolicy
from vdd_ros.manifest import FileSummary
from vdd_ros.ood_detector import OodDetector
from vdd_ros.parity_limits import FEATURE_BOUND
from vdd_ros.policies.augment import middle
from vdd_ros.policies.checkpoint import checkpoint_hash
from vdd_ros.policies.encoder import Encoder
from vdd_ros.policies.forms import Eager
from vdd_ros.policies.pictures import Pictures
from vdd_ros.policies.precision import as_measured
from vdd_ros.policies.stored_windows import FILE_NAME as WINDOWS
from vdd_ros.reference import PAIRS, Differences, Reference

PARITY_BOUND = 2e-4  # [contract unit]: a fifth of a milliradian, below what encoders tell
WITHIN_BOUND = Differences(PARITY_BOUND, PARITY_BOUND)


def parity(policy_onnx: Path, acting: nn.Module, windows: np.ndarray, seed: int) -> dict:
    """Largest difference between torch and onnxruntime over windows (N, To, Do).

    Raises UserError when the graph does not compute what the network does.
    """
    policy, network = OnnxPolicy(policy_onnx), Eager(acting)
    rng = np.random.default_rng(seed)
    gating_errors, mean_errors = [], []
    for window in windows:
        noise = None if policy.noise_shape is None else rng.standard_normal(policy.noise_shape)
        told, found = network.infer(window, noise), policy.infer(window, noise)
        gating_errors.append(np.abs(np.exp(found.log_gating) - np.exp(told.log_gating)).max())
        mean_errors.append(np.abs(found.means - told.means).max())
    # np.max, not max: a NaN must not get lost on the way to the comparison
    gating_error, mean_error = float(np.max(gating_errors)), float(np.max(mean_errors))
    require_exact(mean_error, gating_error)
    return {
        "windows": len(windows),
        "largest_mean_error": mean_error,
        "largest_gating_error": gating_error,
        "bound": PARITY_BOUND,
    }


def require_exact(mean_error: float, gating_error: float) -> None:
    """Raises UserError where a graph in float32 differs by more than by rounding."""
    if not (mean_error <= PARITY_BOUND and gating_error <= PARITY_BOUND):
        raise UserError(
            f"onnxruntime differs from torch by {mean_error:.2g} in the means and "
            f"{gating_error:.2g} in the gating, {PARITY_BOUND:g} is allowed: do not use this "
            "bundle, report it"
        )


def encoder_parity(
    graphs: Mapping[str, bytes],
    encoder: Encoder,
    contract: Contract,
    pictures: Pictures,
    precision: Precision = "fp32",
) -> dict:
    """Largest difference between torch and onnxruntime in what encoders make of real pictures and
    of made ones, from their pixels to features of variance 1. Raises UserError where a graph in
    fp32 computes another thing; how far another precision may be off is told by plans."""
    eyes = eyes_of(graphs, encoder, contract)
    errors = []
    for index, image in enumerate(contract.images):
        pixels = np.concatenate([pictures.pixels(index), made_pictures(image.shape)])
        with torch.no_grad():
            wanted = encoder.net(index)(middle(torch.from_numpy(pixels), encoder.config.augment))
        errors += [
            np.abs(eyes.encoded(image.name, one) - told).max()
            for one, told in zip(pixels, wanted.numpy(), strict=True)
        ]
    error = float(np.max(errors))
    if not error <= FEATURE_BOUND and precision == "fp32":
        raise UserError(
            f"onnxruntime's encoders differ from torch's by {error:.2g}, {FEATURE_BOUND:g} is "
            "allowed: do not use this bundle, report it"
        )
    return {"pictures": len(errors), "largest_feature_error": error}


def eyes_of(graphs: Mapping[str, bytes], encoder: Encoder, contract: Contract) -> Eyes:
    """Graphs of encoders in onnxruntime, as a processor measures any precision."""
    with tempfile.TemporaryDirectory() as folder:
        for image, graph in graphs.items():
            (Path(folder) / encoder_file(image)).write_bytes(as_measured(graph))
        return Eyes(Path(folder), contract, encoder.config.features)


def reference_of(
    policy_onnx: Path,
    acting: nn.Module,
    windows: np.ndarray,
    seed: int,
    bound: Differences = WITHIN_BOUND,
) -> Reference:
    """What the network gives in torch for the first PAIRS of windows (N, To, Do), for the bundle
    to be compared with wherever it runs."""
    shape = OnnxPolicy(policy_onnx).noise_shape
    rng = np.random.default_rng(seed)
    chosen, network = windows[:PAIRS], Eager(acting)
    noise = None if shape is None else rng.standard_normal((len(chosen), *shape))
    given = [
        network.infer(window, None if noise is None else noise[n])
        for n, window in enumerate(chosen)
    ]
    log_gating, means = (np.stack(parts) for parts in zip(*given, strict=True))
    return Reference(chosen, noise, log_gating, means, bound)


def certificate(
    run: Path,
    rule: str,
    provenance: Provenance,
    parity_result: Mapping[Precision, dict],
    fidelity: Fidelity | None,
    ood_detector: OodDetector,
    precision: Precision,
    demands: CertificateDemands,
) -> Certificate:
    """Of a bundle that was just made: what only its rollouts and its devices can tell is not
    measured yet."""
    return Certificate(
        precision=precision,
        demands=demands,
        run=run.name,
        acting_rule=rule,
        provenance=provenance,
        parity={name: {"ok": True, **found} for name, found in parity_result.items()},
        fidelity=fidelity,
        monitor={name: _alarm(one) for name, one in ood_detector.thresholds.items()},
        reasons=_reasons(provenance),
        made_with={
            "python": platform.python_version(),
            "torch": torch.__version__,
            "machine": platform.machine(),
        },
    )


def provenance_of(run: Path, teacher: Path, contract: Contract, notes: Mapping) -> Provenance:
    """Of a run and the teacher that it was distilled from, which is the run itself for a teacher;
    notes: of the run. Raises UserError where another teacher is named."""
    require_teacher(run, teacher, notes)
    calibrations = notes.get("calibrations")
    return Provenance(
        run_hash=checkpoint_hash(run),
        teacher_hash=checkpoint_hash(teacher),
        dataset_hash=FileSummary.of(teacher / WINDOWS).sha256,
        episodes=len(notes["trained_on"]),
        held_out=len(notes["held_out"]),
        contract_hash=contract.contract_hash,
        calibration_hashes=tuple(calibrations) if calibrations and all(calibrations) else None,
        version=package_version(),
        code_hash=code_hash("policies"),
    )


def require_teacher(run: Path, teacher: Path, notes: Mapping) -> None:
    """Raises UserError where a run, whose notes these are, was distilled from another teacher."""
    found = checkpoint_hash(teacher)
    taught_by = notes.get("teacher_hash", found)
    if taught_by != found:
        raise UserError(
            f"{run} was distilled from the teacher {taught_by[:12]}, and {teacher} is "
            f"{found[:12]}: name its own, --teacher RUN"
        )


def _alarm(threshold: Threshold | None) -> Alarm | None:
    return None if threshold is None else Alarm(**threshold._asdict())


def _reasons(provenance: Provenance) -> dict[str, str]:
    if provenance.calibration_hashes is not None:
        return {}
    return {"calibration": "not measured: not every episode names its calibration file"}
