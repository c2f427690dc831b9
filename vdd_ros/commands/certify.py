"""Complete a bundle's certificate with what was measured since its export, and sign it.

A bundle is never changed: this writes another one, with the same policy. Figures of another policy
are refused.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tyro.conf import Positional

from vdd_ros.bundle import Bundle, certified
from vdd_ros.bundle_manifest import PAGE
from vdd_ros.certificate import (
    REQUIRED_SUCCESS,
    Certificate,
    Latency,
    fidelity_of,
    rollouts_of,
)
from vdd_ros.device_results import read_result
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
    required_success: float = REQUIRED_SUCCESS
    """Least lower end of the 95 % interval of its success with delays, to pass."""
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
    if not 0.0 <= args.required_success <= 1.0:
        raise UserError(f"required_success is {args.required_success}; it lies between 0 and 1")
    made = certificate.model_copy(update=_found(args, bundle, certificate))
    new = certified(bundle, args.out, made, args.key)
    print(f"bundle {new.name} in {new.folder}: grade {made.grade}, see {new.folder / PAGE}")
    for word, names in (("failed", made.failed), ("not measured", list(made.missing))):
        if names:
            print(f"{word}: {', '.join(names)}")
    return {
        "bundle": new.folder,
        "bundle_hash": new.manifest.bundle_hash,
        "policy_hash": new.manifest.policy_hash,
        "grade": made.grade,
        "sim_pass": made.sim_pass,
        "failed": made.failed,
        "missing": made.missing,
        "signed_by": new.signer and new.signer.public_key,
    }


def _found(args: Args, bundle: Bundle, certificate: Certificate) -> dict[str, Any]:
    """The fields of the certificate that were measured since, by name."""
    origin, policy = certificate.provenance, bundle.manifest.policy_hash
    found: dict[str, Any] = {"required_success": args.required_success}
    if args.fidelity is not None:
        own = origin.run_hash, origin.teacher_hash
        found["fidelity"] = fidelity_of(_read(args.fidelity), *own, str(args.fidelity))
    for path in args.evaluation:
        rollouts = rollouts_of(_read(path), "policy_hash", policy, str(path))
        name = "simulation" if rollouts.is_delayed else "success"
        if name in found:
            raise UserError(f"{path} is the second evaluation of its kind ({name}): name one")
        found[name] = rollouts
    if (teachers := args.teacher_evaluation) is not None:
        teacher = rollouts_of(_read(teachers), "run_hash", origin.teacher_hash, str(teachers))
        if teacher.is_delayed:
            raise UserError(f"{teachers} has delays, and the teacher is compared without any")
        found["teacher_success"] = teacher
    if args.device_result is not None:
        found["latency"] = _latency(args.device_result, policy)
    return found


def _latency(folder: Path, policy_hash: str) -> Latency:
    facts: Any = read_result(folder).facts
    if facts.get("policy_hash") != policy_hash:
        raise UserError(f"{folder} is of another policy: verify this one there (vdd verify --save)")
    if not isinstance(facts.get("latency"), dict):
        raise UserError(f"{folder} measured no latency: verify it there again, with --calls")
    return Latency(device=facts["device"], runtime=facts["runtime"], **facts["latency"])


def _read(path: Path) -> dict:
    try:
        raw = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}): name what vdd wrote") from None
    if not isinstance(raw, dict):
        raise UserError(f"{path} is not a JSON object: name what vdd wrote")
    return raw
