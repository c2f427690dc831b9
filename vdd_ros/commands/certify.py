"""Complete a bundle's certificate with what was measured since its export, and sign it.

A bundle is never changed: this writes another one, with the same policy. Figures of another policy
are refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tyro.conf import Positional

from vdd_ros.bounded_file import read_object
from vdd_ros.bundle import Bundle, certified
from vdd_ros.bundle_checks import require_one_task
from vdd_ros.bundle_manifest import PAGE
from vdd_ros.certificate import Certificate
from vdd_ros.certificate_demands import LEAST_SUCCESS
from vdd_ros.certificate_sources import fidelity_of, latency_of, rollouts_of
from vdd_ros.device_results import DeviceResult, read_result
from vdd_ros.errors import UserError


@dataclass(frozen=True)
class Args:
    bundle: Positional[Path]
    """Folder of the bundle."""
    out: Path
    """Folder of the one to write; an older bundle there is replaced."""
    fidelity: Path | None = None
    """What `vdd fidelity --out` wrote of its run."""
    evaluation: tuple[Path, ...] = ()
    """What `vdd evaluate` wrote of it: without delays, with them, or both."""
    teacher_evaluation: Path | None = None
    """What `vdd evaluate` wrote of its teacher's bundle."""
    required_success: float | None = None
    """Least lower end of the 95 % interval of its success, from .5; what the bundle's certificate
    says if not given, and that is what its contract says after an export. A robot demands what its
    own contract says."""
    device_result: Path | None = None
    """Folder of what `vdd verify --save` wrote of it, on the robot that it is for."""
    key: Path | None = None
    """Private key that signs the bundle (vdd keygen)."""


def main(args: Args) -> dict:
    """Write the bundle; raises UserError for a damaged one, or for figures that are not its own."""
    bundle = Bundle.load(args.bundle)
    certificate = bundle.certificate
    if certificate is None:
        raise UserError(f"{args.bundle} has a certificate of an earlier format: export it again")
    required = args.required_success
    if required is not None and not LEAST_SUCCESS <= required <= 1.0:
        raise UserError(
            f"required_success is {required:g}; it lies between {LEAST_SUCCESS:g} and 1"
        )
    device = None if args.device_result is None else read_result(args.device_result)
    made = certificate.model_copy(update=_found(args, device, bundle, certificate))
    require_one_task(made, f"the certificate of {args.out}")
    new = certified(bundle, args.out, made, args.key)
    print(f"bundle {new.name} in {new.folder}: grade {made.grade}, see {new.folder / PAGE}")
    if device is not None:
        print(f"latency: from {device.folder}, {device.signer or 'which nobody signed'}")
    for name, why in made.faults.items():
        print(f"failed: {name} ({why})")
    if made.missing:
        print(f"not measured: {', '.join(made.missing)}")
    return {
        "bundle": new.folder,
        "bundle_hash": new.manifest.bundle_hash,
        "policy_hash": new.manifest.policy_hash,
        "grade": made.grade,
        "sim_pass": made.sim_pass,
        "failed": made.failed,
        "missing": made.missing,
        "signed_by": new.signer and new.signer.public_key,
        "latency_signed_by": device and device.signer and device.signer.public_key,
    }


def _found(
    args: Args, device: DeviceResult | None, bundle: Bundle, certificate: Certificate
) -> dict[str, Any]:
    """The fields of the certificate that were measured since, by name."""
    origin, policy = certificate.provenance, bundle.manifest.policy_hash
    found: dict[str, Any] = {}
    contracts = bundle.manifest.contract_hash, bundle.contract.contract_hash
    if args.required_success is not None:
        demands = certificate.demands.model_copy(update={"success": args.required_success})
        found["demands"] = demands
    if args.fidelity is not None:
        hashes = origin.run_hash, origin.teacher_hash
        found["fidelity"] = fidelity_of(read_object(args.fidelity), *hashes, str(args.fidelity))
    for path in args.evaluation:
        rollouts = rollouts_of(read_object(path), "policy_hash", policy, contracts, str(path))
        name = "simulation" if rollouts.is_delayed else "success"
        if name in found:
            raise UserError(f"{path} is the second evaluation of its kind ({name}): name one")
        found[name] = rollouts
    if (teachers := args.teacher_evaluation) is not None:
        raw, own = read_object(teachers), origin.teacher_hash
        teacher = rollouts_of(raw, "run_hash", own, contracts, str(teachers))
        if teacher.is_delayed:
            raise UserError(f"{teachers} has delays, and the teacher is compared without any")
        found["teacher_success"] = teacher
    if device is not None:
        found["latency"] = latency_of(device.facts, policy, str(device.folder))
    return found
