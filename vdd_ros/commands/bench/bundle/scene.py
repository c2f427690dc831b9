"""The bundles that damage is done to, and how one changes a bundle without leaving a trace."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from vdd_ros.bundle import Bundle, certified
from vdd_ros.bundle_manifest import CERTIFICATE, CONTRACT, MANIFEST, POLICY, REFERENCE, Manifest
from vdd_ros.contract import Contract
from vdd_ros.sealed_folder import SIGNATURE, sha256, to_json
from vdd_ros.signature import make_keys


class Victim(NamedTuple):
    """folder: a sound bundle, signed by the trusted key, to be damaged; other: a sound one of
    another policy of the same shapes, signed by that key, too; foreign: one of another robot; key:
    another private key; outside: an empty folder beside them."""

    folder: Path
    other: Path
    foreign: Path
    key: Path
    outside: Path

    def path(self, name: str) -> Path:
        return self.folder / name

    @property
    def manifest(self) -> dict[str, Any]:
        return json.loads(self.path(MANIFEST).read_text())

    def edit(self, name: str, change: Callable[[Any], Any]) -> None:
        """Change what is in a JSON file: change takes it, and gives the new one."""
        self.path(name).write_bytes(to_json(change(json.loads(self.path(name).read_text()))))

    def take(self, name: str, source: Path) -> None:
        """A file of another bundle in place of its own."""
        shutil.copyfile(source / name, self.path(name))

    def reseal(self, certify: bool = True, **changes: Any) -> None:
        """Make every hash agree with the files as they are now and with these changes of the
        manifest, as anyone can who has no key; certify: also the certificate."""
        reseal(self.folder, certify, **changes)


def reseal(folder: Path, certify: bool = True, **changes: Any) -> None:
    """See `Victim.reseal`. The signature, which nobody can make, goes."""
    raw = json.loads((folder / MANIFEST).read_text()) | changes
    raw["files"] = {name: _sum_of(folder / name, digest) for name, digest in raw["files"].items()}
    if certify:
        path = folder / CERTIFICATE
        policy_hash = Manifest.model_construct(**raw).policy_hash
        path.write_bytes(to_json(json.loads(path.read_text()) | {"policy_hash": policy_hash}))
        raw["files"][CERTIFICATE] = _sum_of(path, "")
    raw["bundle_hash"] = Manifest.model_construct(**raw).hash()
    (folder / MANIFEST).write_bytes(to_json(raw))
    (folder / SIGNATURE).unlink(missing_ok=True)


def _sum_of(path: Path, otherwise: str) -> str:
    return sha256(path.read_bytes()) if path.is_file() else otherwise


class Scene(NamedTuple):
    """A folder of sound bundles; robot: the contract they are verified against; trusted: the public
    key that they are signed by."""

    folder: Path
    robot: Contract
    trusted: Path

    def victim(self, number: int) -> Victim:
        """A fresh copy of everything."""
        folder = self.folder / f"copy-{number}"
        shutil.copytree(self.folder / "sound", folder)
        (folder / "outside").mkdir()
        at = {name: folder / name for name in ("bundle", "other", "foreign", "outside")}
        key = self.folder / "stranger"
        return Victim(at["bundle"], at["other"], at["foreign"], key, at["outside"])


def scene_of(bundle: Path, folder: Path) -> Scene:
    """Copies of a bundle, of the same with other weights, and of the same for another robot."""
    key, sound = folder / "own", folder / "sound"
    make_keys(key, folder / "own.pub")
    make_keys(folder / "stranger", folder / "stranger.pub")
    found = Bundle.load(bundle)
    certified(found, sound / "bundle", key=key)
    certified(Bundle.load(_other(bundle, folder / "other")), sound / "other", key=key)
    certified(Bundle.load(_foreign(bundle, folder / "foreign")), sound / "foreign", key=key)
    return Scene(folder, found.contract, folder / "own.pub")


def _other(bundle: Path, folder: Path) -> Path:
    """The same with every weight of its policy another, and reference outputs of its own."""
    import onnx
    from onnx import numpy_helper

    shutil.copytree(bundle, folder)
    model = onnx.load(folder / POLICY)
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype.kind == "f" and values.ndim > 1:
            tensor.CopyFrom(numpy_helper.from_array((1.1 * values).astype("f4"), tensor.name))
    onnx.save(model, folder / POLICY)
    _without_reference(folder)
    return folder


def _foreign(bundle: Path, folder: Path) -> Path:
    shutil.copytree(bundle, folder)
    path = folder / CONTRACT
    raw = json.loads(path.read_text())
    raw["joints"][0]["name"] = "another_arms_joint"
    path.write_bytes(to_json(raw))
    contract = Contract.from_dict(raw)
    reseal(folder, interface_hash=contract.interface_hash, contract_hash=contract.contract_hash)
    return folder


def _without_reference(folder: Path) -> None:
    raw = json.loads((folder / MANIFEST).read_text())
    raw["files"].pop(REFERENCE, None)
    (folder / REFERENCE).unlink(missing_ok=True)
    reseal(folder, files=raw["files"])
