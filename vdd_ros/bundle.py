"""Bundle: the folder that is deployed, with everything a policy needs and a hash of all of it.

bundle.json names the other files and their sha256; `bundle_hash` covers bundle.json itself. The
folder is written beside its place and renamed into it, so a bundle is there whole or not at all.
Nothing in it is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vdd_ros.acting import ActingRule
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.inference import OnnxDensity, OnnxPolicy
from vdd_ros.ood_detector import OodDetector
from vdd_ros.start_range import StartRange

MANIFEST = "bundle.json"
NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
REQUIRED = ("policy.onnx", "contract.json", "normalizer.json", "certificate.json")
START = "start.json"
OOD_DETECTOR = "ood_detector.json"
OPTIONAL = ("density.onnx", START, OOD_DETECTOR)


class Manifest(BaseModel):
    """bundle.json. created: ISO 8601; files: sha256 of every other file by name; method: what the
    policy was distilled by, teacher for none; nfe: network evaluations per chunk; is_stochastic:
    whether noise is added on the way from the noise that it starts from. Bundles made before these
    were told lack them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[1] = 1
    name: str = Field(pattern=NAME)
    kind: Literal["mixture", "diffusion"]
    n_obs_steps: int = Field(ge=1)
    horizon: int = Field(ge=1)
    n_experts: int = Field(ge=1)
    method: str | None = None
    nfe: int | None = Field(default=None, ge=1)
    is_stochastic: bool | None = None
    acting_rule: dict
    interface_hash: str
    contract_hash: str
    created: str
    files: dict[str, str]
    bundle_hash: str = ""

    def hash(self) -> str:
        """sha256 of everything but `bundle_hash`; through `files` it covers the whole folder."""
        told = self.told()
        del told["bundle_hash"]
        text = json.dumps(told, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def told(self) -> dict:
        """As it is in the file, where nothing is said of what is not known."""
        return self.model_dump(exclude_none=True)


@dataclass(frozen=True)
class Bundle:
    """A verified bundle. contract: the one the policy was trained with; tick_ratio: control ticks
    of the robot at hand to one of that contract; rule: for that robot's ticks."""

    folder: Path
    manifest: Manifest
    contract: Contract
    rule: ActingRule
    tick_ratio: float = 1.0

    @classmethod
    def load(cls, folder: str | Path, robot: Contract | None = None) -> Bundle:
        """Read a bundle and verify every hash; against `robot`, the contract of the robot at hand,
        also interface and limits. Raises UserError."""
        folder = Path(folder)
        manifest = _read_manifest(folder)
        for name, digest in manifest.files.items():
            _verify(folder / name, digest)
        path = folder / "contract.json"
        contract = Contract.from_dict(_read_json(path), str(path))
        ratio = 1.0
        if robot is not None:
            robot.require_same_interface(contract, f"bundle {folder}")
            _require_limits_within(robot, contract, folder)
            ratio = robot.rates.control_hz / contract.rates.control_hz
        rule = ActingRule.from_dict(manifest.acting_rule).at_rate(ratio)
        return cls(folder, manifest, contract, rule, ratio)

    @property
    def name(self) -> str:
        """What people call this policy."""
        return self.manifest.name

    @property
    def acting(self) -> str:
        """How actions are taken from it, in one line."""
        return acting_text(self.manifest.kind, self.manifest.n_experts, self.rule)

    @property
    def density_path(self) -> Path | None:
        """The graph of the policy's log-density, where it has one."""
        return self.folder / "density.onnx" if "density.onnx" in self.manifest.files else None

    @property
    def start(self) -> StartRange | None:
        """Where demonstrations began, if that is known."""
        if START not in self.manifest.files:
            return None
        path = self.folder / START
        return StartRange.from_dict(_read_json(path), self.contract, str(path))

    @property
    def ood_detector(self) -> OodDetector | None:
        """What tells observations that are not like those trained on, if the bundle has it."""
        if OOD_DETECTOR not in self.manifest.files:
            return None
        path = self.folder / OOD_DETECTOR
        size = self.manifest.n_obs_steps * self.contract.observation_dim
        return OodDetector.from_dict(_read_json(path), size, str(path)).at_rate(self.tick_ratio)

    def open_policy(self) -> OnnxPolicy:
        """The policy in onnxruntime; raises UserError when the graph is corrupt or does not fit."""
        path = self.folder / "policy.onnx"
        density_path = self.density_path if self.rule.output == "sample" else None
        policy = OnnxPolicy(path, None if density_path is None else OnnxDensity(density_path))
        manifest, contract = self.manifest, self.contract
        found = {
            "n_obs_steps": policy.n_obs_steps,
            "horizon": policy.horizon,
            "n_experts": policy.n_experts,
            "observation_dim": policy.observation_dim,
            "action_dim": policy.action_dim,
        }
        declared = {
            "n_obs_steps": manifest.n_obs_steps,
            "horizon": manifest.horizon,
            "n_experts": manifest.n_experts,
            "observation_dim": contract.observation_dim,
            "action_dim": contract.action_dim,
        }
        if found != declared:
            raise UserError(f"{path} has {found}, its bundle declares {declared}: export it again")
        if self.rule.output == "sample" and policy.noise_shape is None and policy.density is None:
            raise UserError(
                f"{path} takes no noise and has no density beside it, so it gives no samples: "
                "use output mean"
            )
        _require_density_for(self.rule, policy.density is not None, self.folder)
        return policy


def acting_text(kind: str, n_experts: int, rule: ActingRule) -> str:
    """The acting rule, and of a diffusion policy how many samples there are to choose from."""
    return f"{n_experts} candidates, {rule}" if kind == "diffusion" else str(rule)


def _require_density_for(rule: ActingRule, has_density: bool, folder: Path) -> None:
    if not has_density and (rule.draws > 1 or rule.tail_nats):
        raise UserError(
            f"{folder} has no density, which draws and tail_nats are of: use draws 1 and "
            "tail_nats 0"
        )


def write_bundle(
    folder: str | Path,
    *,
    name: str,
    kind: Literal["mixture", "diffusion"],
    contract: Contract,
    rule: ActingRule,
    n_obs_steps: int,
    horizon: int,
    n_experts: int,
    policy_onnx: bytes,
    normalizer: dict,
    certificate: dict,
    created: str,
    density_onnx: bytes | None = None,
    start: StartRange | None = None,
    ood_detector: OodDetector | None = None,
    method: str | None = None,
    nfe: int | None = None,
    is_stochastic: bool | None = None,
) -> Bundle:
    """Write a bundle all or nothing; it replaces an older bundle in its place, nothing else.

    Raises UserError when `folder` holds something that is not a bundle, and for a name or a rule
    that a bundle cannot have.
    """
    folder = Path(folder)
    if folder.exists() and not (folder / MANIFEST).is_file():
        raise UserError(f"{folder} exists and is no bundle: name a new folder, or remove this one")
    contents = {
        "policy.onnx": policy_onnx,
        "contract.json": _to_json(contract.to_dict()),
        "normalizer.json": _to_json(normalizer),
        "certificate.json": _to_json(certificate),
    }
    if density_onnx is not None:
        contents["density.onnx"] = density_onnx
    if start is not None:
        contents[START] = _to_json(start.to_dict())
    if ood_detector is not None:
        contents[OOD_DETECTOR] = _to_json(ood_detector.to_dict())
    _require_density_for(rule, density_onnx is not None, folder)
    if not re.fullmatch(NAME, name):
        raise UserError(
            f"no bundle can be named {name!r}: write letters, digits, dots, dashes and underscores"
        )
    manifest = Manifest(
        name=name,
        kind=kind,
        n_obs_steps=n_obs_steps,
        horizon=horizon,
        n_experts=n_experts,
        method=method,
        nfe=nfe,
        is_stochastic=is_stochastic,
        acting_rule=rule.to_dict(),
        interface_hash=contract.interface_hash,
        contract_hash=contract.contract_hash,
        created=created,
        files={file: hashlib.sha256(data).hexdigest() for file, data in contents.items()},
    )
    manifest = manifest.model_copy(update={"bundle_hash": manifest.hash()})
    contents[MANIFEST] = _to_json(manifest.told())
    _place(folder, contents)
    return Bundle.load(folder)


def _place(folder: Path, contents: dict[str, bytes]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        fresh.chmod(0o755)
        for name, data in contents.items():
            with (fresh / name).open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        _sync_folder(fresh)
        if folder.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old.", dir=folder.parent))
            folder.rename(old)
            shutil.rmtree(old)
        fresh.rename(folder)
        _sync_folder(folder.parent)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _to_json(value: dict) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()


def _read_json(path: Path) -> object:
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path} is missing: name the folder of a complete bundle") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is not readable JSON ({error}): export the bundle again") from None


def _read_manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    raw = _read_json(path)
    try:
        manifest = Manifest.model_validate(raw)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(str(step) for step in fault["loc"]) or "top level"
        raise UserError(f"{path}: {place}: {fault['msg']}: export the bundle again") from None
    if manifest.hash() != manifest.bundle_hash:
        raise UserError(f"{path} was changed after it was written: export the bundle again")
    if set(manifest.files) - set(OPTIONAL) != set(REQUIRED):
        raise UserError(
            f"{path} lists {sorted(manifest.files)}; it has to list {sorted(REQUIRED)} and may "
            f"list {sorted(OPTIONAL)}: export the bundle again"
        )
    return manifest


def _verify(path: Path, digest: str) -> None:
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        raise UserError(f"{path} is missing: copy the whole bundle again") from None
    if found != digest:
        raise UserError(f"{path} is damaged or edited (its sha256 differs): copy the bundle again")


def _require_limits_within(robot: Contract, wanted: Contract, folder: Path) -> None:
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
