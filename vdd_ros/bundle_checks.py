"""What must be true of a bundle's parts together, each told in one sentence where it is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vdd_ros.acting import ActingRule
from vdd_ros.bundle_manifest import CERTIFICATE, CONTRACT, Manifest, encoder_file
from vdd_ros.certificate import Certificate
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.onnx_scan import external_tensor
from vdd_ros.sealed_folder import LARGEST_FILE, hash_of, parsed_json, read_bytes, read_named


def read_contract(folder: Path, manifest: Manifest) -> Contract:
    """The contract that a policy was trained with; raises UserError where it is none, or not the
    one that its manifest tells of."""
    path = folder / CONTRACT
    data = read_named(path, manifest.files[CONTRACT])
    raw = parsed_json(data, str(path))
    contract = Contract.from_dict(raw, str(path))
    if contract.interface_hash != manifest.interface_hash:
        raise UserError(
            f"{path} is of the interface {contract.interface_hash[:12]}, its bundle of "
            f"{manifest.interface_hash[:12]}: export the bundle again"
        )
    # of what is written there, which later versions of this program may read as more
    if hash_of(raw) != manifest.contract_hash:
        raise UserError(
            f"{path} is the contract {hash_of(raw)[:12]}, its bundle tells of "
            f"{manifest.contract_hash[:12]}: export the bundle again"
        )
    return contract


def require_encoders(manifest: Manifest, contract: Contract, folder: Path) -> None:
    """Raises UserError for an image without its encoder, or an encoder without its image."""
    wanted, found = {encoder_file(image.name) for image in contract.images}, manifest.encoders
    if found != wanted or bool(wanted) != (manifest.image_features is not None):
        raise UserError(
            f"{folder} has {', '.join(sorted(found)) or 'no encoders'}, its contract's images need "
            f"{', '.join(sorted(wanted)) or 'none'}: export the bundle again"
        )


def require_limits_within(robot: Contract, wanted: Contract, folder: Path) -> None:
    """The robot's own limits apply; a policy made for wider ones would be cut short everywhere."""
    for name, sign in (("lower", -1.0), ("upper", 1.0), ("velocity", 1.0), ("acceleration", 1.0)):
        excess = sign * (wanted.limit(name) - robot.limit(name))
        worst = int(np.argmax(excess))
        if excess[worst] > 1e-9:
            joint = robot.joints[worst]
            raise UserError(
                f"bundle {folder} needs {name} {wanted.limit(name)[worst]:g} at {joint.name}; this "
                f"robot allows {robot.limit(name)[worst]:g}: train with the robot's own limits"
            )


def require_density_for(rule: ActingRule, has_density: bool, folder: str | Path) -> None:
    """Raises UserError where a rule asks for what only a density can tell."""
    if not has_density and (rule.draws > 1 or rule.tail_nats):
        raise UserError(
            f"{folder} has no density, which draws and tail_nats are of: use draws 1 and "
            "tail_nats 0"
        )


def require_own_certificate(
    certificate: Certificate | None, manifest: Manifest, folder: Path
) -> None:
    """Raises UserError for the certificate of another policy, of another precision, or whose
    rollouts were another robot's."""
    if certificate is None:
        return
    found, wanted = certificate.policy_hash or "none", manifest.policy_hash
    if found != wanted:
        raise UserError(
            f"{folder / CERTIFICATE} is of the policy {found[:12]}, the bundle's is {wanted[:12]}: "
            "export the bundle again"
        )
    precision = manifest.precision or "fp32"
    if certificate.precision != precision:
        raise UserError(
            f"{folder / CERTIFICATE} is of a policy in {certificate.precision}, the bundle's is in "
            f"{precision}: export the bundle again"
        )
    for name, one in certificate.rollouts.items():
        if one.contract_hash != manifest.contract_hash:
            raise UserError(
                f"{folder / CERTIFICATE}: {name} is of a robot with the contract "
                f"{one.contract_hash[:12]}, the bundle's has {manifest.contract_hash[:12]}: "
                "certify it anew"
            )
    require_one_task(certificate, str(folder / CERTIFICATE))


def require_one_task(certificate: Certificate, where: str) -> None:
    """Raises UserError where what was rolled out did not always do the same."""
    tasks = {name: one.task for name, one in certificate.rollouts.items()}
    if len(set(tasks.values())) > 1:
        told = ", ".join(f"{name} of {task}" for name, task in tasks.items())
        raise UserError(f"{where} is about one task, and its rollouts are not: {told}")


def require_whole(graph: Path) -> None:
    """Raises UserError for an ONNX file that has its numbers in others."""
    try:
        tensor = external_tensor(read_bytes(graph, LARGEST_FILE))
    except ValueError as error:
        raise UserError(f"{graph} is not a usable ONNX model ({error}): export it again") from None
    if tensor is not None:
        raise UserError(
            f"{graph} has the numbers of {tensor!r:.80} in another file; a bundle's graphs are "
            "whole: export it again"
        )
