"""Verification: every check of a bundle on the machine that it is on, each with what it found.

action_node makes the same ones when it is configured, but for `normalizer`, which no run reads (its
hash is among `files`), and `latency`, which takes seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from vdd_ros.bundle import Bundle
from vdd_ros.bundle_manifest import NORMALIZER, POLICY, checking
from vdd_ros.certificate import NOT_MEASURED, Certificate
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.inference import (
    GATING_BOUND,
    MEANS_BOUND,
    OnnxPolicy,
    Policy,
    Warm,
    warm_up,
)
from vdd_ros.normalizer import Normalizer
from vdd_ros.reference import Differences
from vdd_ros.sealed_folder import Refused

# in the order in which they are made; docs/deployment.md tells what each refuses
CHECKS = (
    *("manifest", "files", "signature", "contract", "robot", "parts", "certificate", "normalizer"),
    *("graph", "run", "parity"),
)
Required = Literal["none", "sim_pass", "complete"]


class Check(NamedTuple):
    """ok: None where it was not made."""

    name: str
    ok: bool | None
    told: str


class Verified(NamedTuple):
    """A bundle that passed, opened; differences: from its reference outputs, None where it
    has none."""

    bundle: Bundle
    policy: Policy
    differences: Differences | None
    checks: tuple[Check, ...]


class Failed(Refused):
    """A bundle that did not; checks: those made, of which the last failed, and those not made."""

    def __init__(self, error: Refused, checks: tuple[Check, ...]):
        super().__init__(error.check, error.told)
        self.checks = checks


def verified(
    folder: Path,
    robot: Contract | None = None,
    trusted: Collection[str] = (),
    required: Required = "none",
) -> Verified:
    """Check all of CHECKS; robot: the contract of the robot at hand; trusted: public keys of which
    one must have signed the bundle, where there are any. Raises Failed."""
    passed: dict[str, str] = {}
    try:
        bundle = Bundle.load(folder, robot, trusted)
        passed |= _of_loading(bundle, robot)
        require_certificate(bundle, required, robot)
        passed["certificate"] = _of_certificate(bundle, robot)
        require_normalizer(bundle)
        passed["normalizer"] = "fits"
        policy = bundle.open_policy()
        if bundle.contract.images:
            bundle.open_eyes()
        passed["graph"] = f"{policy.n_experts} experts, horizon {policy.horizon}"
        warm = warmed_up(bundle, policy, robot or bundle.contract)
        passed["run"] = f"a plan takes {warm.plan_s * 1e3:.3g} ms"
        differences = require_reference(bundle, policy)
        passed["parity"] = _of_parity(differences)
    except Refused as error:
        raise Failed(error, tuple(_reached(passed, error))) from None
    made = {
        "signature": bundle.signer is None or bundle.signer.checked,
        "robot": robot is not None,
        "certificate": bundle.certificate is not None,
        "parity": differences is not None,
    }
    checks = [Check(name, made.get(name, True) or None, passed[name]) for name in CHECKS]
    return Verified(bundle, policy, differences, tuple(checks))


def certificate_for(bundle: Bundle, robot: Contract | None) -> Certificate | None:
    """A bundle's certificate by what the contract of the robot at hand demands; where there is
    none, by what the certificate itself says was demanded."""
    certificate = bundle.certificate
    if certificate is None or robot is None:
        return certificate
    return certificate.demanded(robot.certificate)


def require_certificate(bundle: Bundle, required: Required, robot: Contract | None = None) -> None:
    """Raises Refused where a bundle lacks what a robot demands before it moves."""
    if required == "none":
        return
    certificate, where = certificate_for(bundle, robot), bundle.folder
    if certificate is None:
        told = f"{where} has no certificate that could say so: export it again"
    elif certificate.faults:
        told = f"the certificate of {where} says that it failed: {_listed(certificate.faults)}"
    elif not certificate.sim_pass:
        told = (
            f"the certificate of {where} has no pass in simulation with delays: roll it out (vdd "
            "evaluate --observation-delay --command-delay) and have it certified (vdd certify)"
        )
    elif "parity" in certificate.missing:
        told = f"the certificate of {where} lacks parity in {bundle.precision}: export it again"
    elif required == "complete" and certificate.missing:
        lacking = ", ".join(certificate.missing)
        told = f"the certificate of {where} lacks {lacking}: complete it (vdd certify)"
    else:
        return
    raise Refused("certificate", f"{told}; {required} is required here")


def require_normalizer(bundle: Bundle) -> None:
    """Raises Refused where the normalizer is none of this policy's windows and chunks."""
    path = bundle.folder / NORMALIZER
    manifest, contract = bundle.manifest, bundle.contract
    with checking("normalizer"):
        raw = bundle.read_json(NORMALIZER)
        try:
            found = asdict(Normalizer.from_dict(raw))
        except (AttributeError, TypeError, ValueError) as error:
            raise UserError(f"{path} is no normalizer ({error}): export it again") from None
        newest, chunk = (contract.observation_dim,), (manifest.horizon, contract.action_dim)
        flat, rank = chunk[0] * chunk[1], found["spread"].shape[:1]
        wanted: dict[str, tuple[int, ...]] = {
            **{"newest_mean": newest, "newest_std": newest},
            "difference_std": (manifest.n_obs_steps - 1, *newest),
            "reference": (*found["reference"].shape[:1], flat),
            **{"chunk_mean": chunk, "chunk_std": chunk},
            **{"basis": (flat, *rank), "spread": rank, "remainder": (flat, flat)},
            **{"action_mean": chunk[1:], "action_std": chunk[1:]},
        }
        for name, shape in wanted.items():
            if found[name].shape != shape or not np.isfinite(found[name]).all():
                raise UserError(
                    f"{path}: {name} is of {found[name].shape}, the policy of {shape}, all of them "
                    "numbers: export it again"
                )


def require_reference(bundle: Bundle, policy: Policy) -> Differences | None:
    """Raises Refused where a policy does not give its bundle's reference outputs."""
    reference = bundle.reference
    return None if reference is None else reference.require(policy)


def warmed_up(bundle: Bundle, policy: Policy, robot: Contract) -> Warm:
    """Evaluated until it is as quick as ever; raises Refused where it gives no mixture, or has
    another policy's density."""
    window = resting_window(bundle, robot)
    density = None if policy.density is not None else bundle.open_density()
    with checking("run"):
        if density is not None:  # which the policy does not draw from, but the monitor asks
            path, runtime = bundle.folder / POLICY, bundle.graph_runtime()
            warm_up(OnnxPolicy(path, density, runtime=runtime), window, draws=1, calls=1)
        reference = bundle.reference
        off = Differences(0.0, 0.0) if reference is None else reference.bound
        apart = max(MEANS_BOUND, off.means), max(GATING_BOUND, off.gating)
        return warm_up(policy, window, bundle.rule.draws, apart=apart)


def resting_window(bundle: Bundle, contract: Contract) -> np.ndarray:
    """(To, Do) an arm at rest in the middle of its ranges [unit], objects at the base's origin, and
    nothing to see in its images."""
    middle = (contract.limit("lower") + contract.limit("upper")) / 2.0
    row = [
        middle
        if part.field == "position" and not contract.streams[part.stream].is_of_objects
        else np.zeros(contract.size_of(part.stream, part.field))
        for part in contract.observation
    ]
    row.append(np.zeros(bundle.image_numbers))
    return np.tile(np.concatenate(row), (bundle.manifest.n_obs_steps, 1))


def a_call(verified: Verified, robot: Contract) -> Callable[[], object]:
    """The most that a control tick asks of the policy, from a window to chunks: all means, or
    samples of all experts where the rule chooses among those."""
    policy, rule = verified.policy, verified.bundle.rule
    window, rng = resting_window(verified.bundle, robot), np.random.default_rng(0)
    density = policy.density
    if density is not None:
        return lambda: density.draw(window, rule.draws, rng)
    noise = None if policy.noise_shape is None else rng.standard_normal(policy.noise_shape)
    return lambda: policy.infer(window, noise)


def _of_loading(bundle: Bundle, robot: Contract | None) -> dict[str, str]:
    manifest, contract = bundle.manifest, bundle.contract
    parts = {
        "start region": bundle.start,
        "monitor thresholds": bundle.ood_detector,
        "reference outputs": bundle.reference,
    }
    lacking = [name for name, part in parts.items() if part is None]
    return {
        "manifest": f"{bundle.name}, bundle {manifest.bundle_hash[:12]}",
        "files": f"{len(manifest.files)} files",
        "signature": str(bundle.signer or "nobody signed it, and no key was given to trust"),
        "contract": f"{contract.name}, interface {contract.interface_hash[:12]}",
        "robot": "compared with none" if robot is None else f"{robot.name} fits",
        "parts": f"no {' and no '.join(lacking)}" if lacking else "all there",
    }


def _of_certificate(bundle: Bundle, robot: Contract | None) -> str:
    certificate = certificate_for(bundle, robot)
    if certificate is None:
        return f"of an earlier format, which counts as {NOT_MEASURED}"
    lacking = f", lacks {', '.join(certificate.missing)}" if certificate.missing else ""
    failed = f", failed {_listed(certificate.faults)}" if certificate.faults else ""
    return f"grade {certificate.grade}{failed}{lacking}"


def _listed(faults: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({why})" for name, why in faults.items())


def _of_parity(differences: Differences | None) -> str:
    if differences is None:
        return f"{NOT_MEASURED}: no reference outputs"
    return f"means within {differences.means:.2g}, gating within {differences.gating:.2g}"


def _reached(passed: dict[str, str], error: Refused) -> Iterator[Check]:
    """Loading makes its checks in the order of CHECKS, up to the one that failed."""
    ok: bool | None = True
    for name in CHECKS:
        if name == error.check:
            yield Check(name, False, error.told)
            ok = None
        else:
            yield Check(name, ok, "not made" if ok is None else passed.get(name, "passed"))
