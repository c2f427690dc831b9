"""Verify a bundle on this machine: hashes, signature, contract, graphs, reference outputs, latency.

A bundle that is refused ends with exit code 2 and the name of the check.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from tyro.conf import Positional

from vdd_ros.bundle import Bundle
from vdd_ros.bundle_manifest import CERTIFICATE, PAGE
from vdd_ros.bundle_verification import (
    Check,
    Failed,
    Required,
    Verified,
    a_call,
    certificate_for,
    verified,
)
from vdd_ros.certificate_page import device_page, page_of
from vdd_ros.certificate_parts import MOST_MISSED
from vdd_ros.contract import Contract
from vdd_ros.device import Device, this_device
from vdd_ros.device_latency import DeviceLatency, latency_of
from vdd_ros.device_results import LATENCY, DeviceResult, DeviceResults
from vdd_ros.environment import device_results_folder
from vdd_ros.inference import runtime_text
from vdd_ros.signature import read_trusted

WORDS = {True: "ok", False: "REFUSED", None: "-"}


@dataclass(frozen=True)
class Args:
    bundle: Positional[Path]
    """Folder of the bundle."""
    contract: Path | None = None
    """The robot's contract; without it the bundle is compared with no robot."""
    trust: Path | None = None
    """Public key, or folder of public keys, of which one must have signed the bundle."""
    require: Required = "none"
    """What its certificate must say: sim_pass, passed in simulation with delays; complete, all of
    it measured as well."""
    calls: int = 5000
    """Calls whose latency is measured; 0 measures none."""
    ticks: int = 500
    """Control ticks that are kept time of, to count missed deadlines."""
    save: bool = False
    """Keep what was found as a result of this device, with a certificate of its own."""
    results: Path | None = None
    """Folder of device results; that of $VDD_DEVICE_RESULTS, or of this user, if not given."""
    key: Path | None = None
    """Private key that signs the device result."""


def main(args: Args) -> dict:
    """Print one line a check; raises UserError, with the checks for --json, for a bundle that is
    refused."""
    trusted = read_trusted(args.trust) if args.trust is not None else frozenset()
    robot = None if args.contract is None else Contract.from_yaml(args.contract)
    try:
        found = verified(args.bundle, robot, trusted, args.require)
    except Failed as error:
        _print(error.checks)
        error.result = {"ok": False, "failed": error.check, "checks": _plain(error.checks)}
        raise
    checks = [*found.checks, _page(found.bundle)]
    latency = _latency(args, found, robot)
    if latency is not None:
        checks.append(Check("latency", True, str(latency)))
    device = this_device()
    results = DeviceResults(
        args.results or device_results_folder(), found.bundle.manifest.bundle_hash, device
    )
    if args.save:
        saved = _save(args, found, latency, results)
        checks.append(Check("device result", True, f"kept in {saved.folder}"))
    _print(checks)
    manifest, certificate = found.bundle.manifest, certificate_for(found.bundle, robot)
    return {
        "ok": True,
        "checks": _plain(checks),
        "bundle_hash": manifest.bundle_hash,
        "policy_hash": manifest.policy_hash,
        "grade": certificate and certificate.grade,
        "latency": latency and latency._asdict(),
        "device": str(device),
        "device_results": results.folder,
    }


def _page(bundle: Bundle) -> Check:
    """Whether people read what programs do. Told, and no reason to refuse: another version of this
    program may have worded it otherwise."""
    certificate = bundle.certificate
    if certificate is None or PAGE not in bundle.manifest.files:
        return Check("page", None, "there is none")
    if bundle.read(PAGE) == page_of(certificate, bundle.manifest).encode():
        return Check("page", True, f"{PAGE} says what {CERTIFICATE} does")
    told = f"{PAGE} is not what this version makes of {CERTIFICATE}, which is what counts"
    return Check("page", None, f"{told}: vdd certify writes it anew")


def _latency(args: Args, found: Verified, robot: Contract | None) -> DeviceLatency | None:
    if args.calls < 1 or args.ticks < 1:
        return None
    robot = robot or found.bundle.contract
    return latency_of(a_call(found, robot), args.calls, robot.rates.control_hz, args.ticks)


def _save(
    args: Args, found: Verified, latency: DeviceLatency | None, results: DeviceResults
) -> DeviceResult:
    facts = _facts(found, latency, results.device)
    page = device_page(found.bundle.name, facts).encode()
    made = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return results.write(LATENCY, facts, made, {PAGE: page}, args.key)


def _facts(found: Verified, latency: DeviceLatency | None, device: Device) -> dict:
    """What the certificate of a device says, beside whose it is."""
    measured = None if latency is None else latency._asdict()
    runtime = runtime_text(found.bundle.usual_runtime)
    return {
        "policy_hash": found.bundle.manifest.policy_hash,
        "device": str(device),
        "precision": found.bundle.precision,
        "runtime": f"{runtime} on the CPU",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "parity": None if found.differences is None else found.differences._asdict(),
        "latency": measured,
        "passed": None if latency is None else latency.missed <= MOST_MISSED * latency.ticks,
    }


def _print(checks: Sequence[Check]) -> None:
    for check in checks:
        print(f"{WORDS[check.ok]:<8} {check.name:<14} {check.told}")


def _plain(checks: Sequence[Check]) -> list[dict]:
    return [check._asdict() for check in checks]
