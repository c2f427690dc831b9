"""Bundle: the folder that is deployed, with everything a policy needs and a hash of all of it.

bundle.json names the other files and their sha256; `bundle_hash` covers bundle.json itself, and a
signature, where there is one, that hash. The folder is written beside its place and renamed into
it, so a bundle is there whole or not at all. Nothing in it is ever unpickled.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vdd_ros.acting import ActingRule
from vdd_ros.blas import keep_blas_to_one_thread
from vdd_ros.bundle_checks import (
    read_contract,
    require_density_for,
    require_encoders,
    require_limits_within,
    require_own_certificate,
    require_whole,
)
from vdd_ros.bundle_manifest import (
    CERTIFICATE,
    CONTRACT,
    DENSITY,
    EXPERT,
    LARGEST_NUMBERS,
    MANIFEST,
    NAME,
    NORMALIZER,
    OOD_DETECTOR,
    POLICY,
    RECORDED,
    REFERENCE,
    START,
    Manifest,
    Precision,
    checking,
    encoder_file,
    read_manifest,
)
from vdd_ros.bundle_writing import place
from vdd_ros.certificate import Certificate, certificate_of
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.eyes import Eyes
from vdd_ros.graph import Graph
from vdd_ros.inference import (
    OnnxDensity,
    OnnxPolicy,
    Runtime,
    default_runtime,
    open_expert,
    runtime_of_graphs,
)
from vdd_ros.ood_detector import OodDetector
from vdd_ros.parity import Recorded
from vdd_ros.recorded import from_npy, to_npy
from vdd_ros.reference import Reference
from vdd_ros.sealed_folder import (
    LARGEST_FILE,
    LARGEST_JSON,
    parsed_json,
    read_named,
    require_file,
    require_only,
    to_json,
)
from vdd_ros.signature import Signer, signer_of
from vdd_ros.start_range import StartRange


@dataclass(frozen=True)
class Bundle:
    """A verified bundle. contract: the one the policy was trained with; tick_ratio: control ticks
    of the robot at hand to one of that contract; rule: for that robot's ticks; signer: None where
    nobody signed it."""

    folder: Path
    manifest: Manifest
    contract: Contract
    rule: ActingRule
    tick_ratio: float = 1.0
    signer: Signer | None = None

    @classmethod
    def load(
        cls,
        folder: str | Path,
        robot: Contract | None = None,
        trusted: Collection[str] = (),
    ) -> Bundle:
        """Read a bundle and verify all that is said in it; against `robot`, the contract of the
        robot at hand, also interface and limits; trusted: public keys of which one must have signed
        it, any or none may if there are none. Raises Refused, naming the check that failed."""
        folder = Path(folder)
        if folder.is_symlink():  # what it names may change while the bundle is in use
            folder = folder.resolve()
        manifest = read_manifest(folder)
        require_only(folder, {MANIFEST, *manifest.files})
        for name, digest in manifest.files.items():
            require_file(folder / name, digest)
        with checking("signature"):
            signer = signer_of(folder, "bundle", manifest.bundle_hash, trusted)
        with checking("contract"):
            contract = read_contract(folder, manifest)
            require_encoders(manifest, contract, folder)
        ratio = 1.0
        with checking("robot"):
            if robot is not None:
                robot.require_same_interface(contract, f"bundle {folder}")
                require_limits_within(robot, contract, folder)
                ratio = robot.rates.control_hz / contract.rates.control_hz
        with checking("parts"):
            rule = ActingRule.from_dict(manifest.acting_rule).at_rate(ratio)
            bundle = cls(folder, manifest, contract, rule, ratio, signer)
            bundle.require_parts()
        with checking("certificate"):
            require_own_certificate(bundle.certificate, manifest, folder)
        return bundle

    @property
    def name(self) -> str:
        """What people call this policy."""
        return self.manifest.name

    @property
    def acting(self) -> str:
        """How actions are taken from it, in one line."""
        return acting_text(self.manifest.kind, self.manifest.n_experts, self.rule)

    @property
    def precision(self) -> Precision:
        """Of its graph."""
        return self.manifest.precision or "fp32"

    @property
    def density_path(self) -> Path | None:
        """The graph of the policy's log-density, where it has one."""
        return self.folder / DENSITY if DENSITY in self.manifest.files else None

    @property
    def expert_path(self) -> Path | None:
        """The graph of the policy's gating and of one expert's mean, where it has one."""
        return self.folder / EXPERT if EXPERT in self.manifest.files else None

    @property
    def start(self) -> StartRange | None:
        """Where demonstrations began, if that is known."""
        if START not in self.manifest.files:
            return None
        raw = self.read_json(START)
        return StartRange.from_dict(raw, self.contract, str(self.folder / START))

    @property
    def ood_detector(self) -> OodDetector | None:
        """What tells observations that are not like those trained on, if the bundle has it."""
        if OOD_DETECTOR not in self.manifest.files:
            return None
        size = self.manifest.n_obs_steps * self.contract.observation_dim
        raw, path = self.read_json(OOD_DETECTOR), self.folder / OOD_DETECTOR
        detector = OodDetector.from_dict(raw, size, str(path))
        wanted = [(image.name, self.manifest.image_features) for image in self.contract.images]
        found = [(one.image, one.clusters.means.shape[1]) for one in detector.images]
        if found and found != wanted:
            raise UserError(f"{path} is of images {found}, not {wanted}: export the bundle again")
        return detector.at_rate(self.tick_ratio)

    @property
    def reference(self) -> Reference | None:
        """What the trained network gave for a few windows; bundles made before lack it."""
        if REFERENCE not in self.manifest.files:
            return None
        return Reference.from_dict(self.read_json(REFERENCE), str(self.folder / REFERENCE))

    @property
    def recorded(self) -> Recorded | None:
        """Windows that parity is measured on; bundles made before lack them."""
        if RECORDED not in self.manifest.files:
            return None
        manifest, contract = self.manifest, self.contract
        window = manifest.n_obs_steps, contract.observation_dim + self.image_numbers
        chunk = manifest.horizon, contract.action_dim
        data = self.read(RECORDED, LARGEST_NUMBERS)
        return from_npy(data, window, chunk, str(self.folder / RECORDED))

    @property
    def certificate(self) -> Certificate | None:
        """What was measured of it; None where it is of a format that said less."""
        return certificate_of(self.read(CERTIFICATE), str(self.folder / CERTIFICATE))

    def read(self, name: str, largest: int = LARGEST_JSON) -> bytes:
        """One of its files, whole; raises Refused where it was changed since it was verified."""
        return read_named(self.folder / name, self.manifest.files[name], largest)

    def read_json(self, name: str) -> Any:
        """As `read`; raises Refused for what is no JSON, too."""
        return parsed_json(self.read(name, LARGEST_NUMBERS), str(self.folder / name))

    def require_parts(self) -> None:
        """Raise UserError where something that it has is none of what it ought to be."""
        for part in ("start", "ood_detector", "reference", "recorded"):
            getattr(self, part)

    @property
    def image_numbers(self) -> int:
        """Numbers that the newest row of a window ends with: features and ages of images."""
        return len(self.contract.images) * (1 + (self.manifest.image_features or 0))

    def open_eyes(self, opened: Callable[[Path], Graph] | None = None) -> Eyes:
        """The encoders of its images, evaluated by onnxruntime, or by what `opened` makes of their
        files; raises Refused where one is corrupt or does not fit."""
        with checking("graph"):
            for image in self.contract.images:
                require_whole(self.folder / encoder_file(image.name))
            features = self.manifest.image_features or 0
            eyes = Eyes(self.folder, self.contract, features, opened)
            self._require_unchanged(*self.manifest.encoders)
            return eyes

    @property
    def usual_runtime(self) -> Runtime:
        """What runs its graphs on this machine unless another is named."""
        return default_runtime(self.expert_path is not None, self.precision == "fp32")

    def graph_runtime(self, runtime: Runtime | None = None) -> Runtime:
        """What runs all but the graph of one expert, where this one, or the usual one, is asked
        for."""
        return runtime_of_graphs(runtime or self.usual_runtime, self.precision == "fp32")

    def open_policy(self, runtime: Runtime | None = None) -> OnnxPolicy:
        """runtime: None for the usual one. Raises Refused when a graph is corrupt or does not
        fit."""
        with checking("graph"):
            return self._open_policy(runtime or self.usual_runtime)

    def open_density(self, runtime: Runtime | None = None) -> OnnxDensity | None:
        """A density of its own for whoever asks beside the policy, None where the bundle has none;
        raises Refused as `open_policy` does."""
        if self.density_path is None:
            return None
        with checking("graph"):
            require_whole(self.density_path)
            density = OnnxDensity(self.density_path, self.graph_runtime(runtime))
            self._require_unchanged(DENSITY)
            return density

    def _require_unchanged(self, *names: str) -> None:
        """What runs graphs opens them by their names; another bundle may have come into place."""
        for name in names:
            if name in self.manifest.files:
                require_file(self.folder / name, self.manifest.files[name])

    def _open_policy(self, runtime: Runtime) -> OnnxPolicy:
        path = self.folder / POLICY
        for graph in (path, self.expert_path):
            if graph is not None:
                require_whole(graph)
        if runtime != "onnxruntime":
            keep_blas_to_one_thread()
        density = self.open_density(runtime) if self.rule.output == "sample" else None
        expert = None if self.expert_path is None else open_expert(self.expert_path, runtime)
        policy = OnnxPolicy(path, density, expert, self.graph_runtime(runtime))
        self._require_unchanged(POLICY, EXPERT)
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
            "observation_dim": contract.observation_dim + self.image_numbers,
            "action_dim": contract.action_dim,
        }
        if found != declared:
            raise UserError(f"{path} has {found}, its bundle declares {declared}: export it again")
        if self.rule.output == "sample" and policy.noise_shape is None and policy.density is None:
            raise UserError(
                f"{path} takes no noise and has no density beside it, so it gives no samples: "
                "use output mean"
            )
        require_density_for(self.rule, policy.density is not None, self.folder)
        return policy


def acting_text(kind: str, n_experts: int, rule: ActingRule) -> str:
    """The acting rule, and of a diffusion policy how many samples there are to choose from."""
    return f"{n_experts} candidates, {rule}" if kind == "diffusion" else str(rule)


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
    density_onnx: bytes | None = None,
    expert_onnx: bytes | None = None,
    start: StartRange | None = None,
    ood_detector: OodDetector | None = None,
    reference: Reference | None = None,
    recorded: Recorded | None = None,
    method: str | None = None,
    nfe: int | None = None,
    is_stochastic: bool | None = None,
    precision: Precision | None = None,
    key: Path | None = None,
    encoders: Mapping[str, bytes] | None = None,
    image_features: int | None = None,
) -> Bundle:
    """Write a bundle all or nothing; it replaces an older bundle in its place, nothing else.

    encoders: graphs by the names of the contract's images; key: a private key that signs it. Raises
    UserError when `folder` holds something that is not a bundle, and for a name or a rule that a
    bundle cannot have.
    """
    contents = {
        POLICY: policy_onnx,
        CONTRACT: to_json(contract.to_dict()),
        NORMALIZER: to_json(normalizer),
        CERTIFICATE: to_json(certificate),
    }
    for file, graph in ((DENSITY, density_onnx), (EXPERT, expert_onnx)):
        if graph is not None:
            contents[file] = graph
    for image, graph in (encoders or {}).items():
        contents[encoder_file(image)] = graph
    optional = {START: start, OOD_DETECTOR: ood_detector, REFERENCE: reference}
    for file, part in optional.items():
        if part is not None:
            contents[file] = to_json(part.to_dict())
    if recorded is not None:
        contents[RECORDED] = to_npy(recorded)
    require_density_for(rule, density_onnx is not None, folder)
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
        precision=precision,
        image_features=image_features,
        acting_rule=rule.to_dict(),
        interface_hash=contract.interface_hash,
        contract_hash=contract.contract_hash,
        files={},
    )
    place(Path(folder), manifest, contents, key)
    return Bundle.load(folder)


def certified(
    bundle: Bundle,
    folder: str | Path,
    certificate: Certificate | None = None,
    key: Path | None = None,
) -> Bundle:
    """Write the same policy with another certificate, or signed; raises UserError as `write_bundle`
    does."""
    files = bundle.manifest.files
    contents = {file: bundle.read(file, LARGEST_FILE) for file in files}
    if certificate is not None:
        contents[CERTIFICATE] = to_json(certificate.to_dict())
    place(Path(folder), bundle.manifest, contents, key)
    return Bundle.load(folder)
