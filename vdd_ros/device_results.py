"""Device results: what was measured or built of a bundle on one computer, beside the bundle.

A bundle is the same everywhere; latencies and engines are of one device. They lie in

    ROOT/<bundle hash>/<device key>/<name>/result.json [signature.json] and its files

each a sealed folder with a hash and a signature of its own, replaced whole or not at all. What is
of another bundle or another device is never given back, whatever folder it was copied into.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, JsonValue, ValidationError

from vdd_ros.device import Device
from vdd_ros.fields import Part
from vdd_ros.sealed_folder import (
    LARGEST_FILE,
    SIGNATURE,
    Hash,
    Refused,
    hash_of,
    read_json,
    read_named,
    require_file,
    require_only,
    sha256,
    to_json,
    write_sealed,
)
from vdd_ros.signature import Signer, sign, signer_of

RESULT = "result.json"
LATENCY = "latency"  # name of what vdd verify keeps
NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$"
FileName = Annotated[str, Field(pattern=NAME)]


class ResultManifest(Part):
    """result.json. name: what it is, such as `latency`, or `engine-` and a key; facts: what was
    measured, or what an engine was built from; made: ISO 8601; files: sha256 of each by name."""

    format_version: Literal[1] = 1
    name: FileName
    bundle_hash: Hash
    device: Device
    facts: dict[str, JsonValue]
    made: str
    files: dict[FileName, Hash] = {}
    result_hash: str = ""

    def hash(self) -> str:
        """Covers the whole folder, through `files`."""
        return hash_of(self.model_dump(exclude={"result_hash"}))


class DeviceResult(NamedTuple):
    """A verified result; signer: None where nobody signed it."""

    folder: Path
    manifest: ResultManifest
    signer: Signer | None

    @property
    def facts(self) -> dict[str, JsonValue]:
        return self.manifest.facts

    def read(self, name: str) -> bytes:
        """One of its files; raises Refused where it was changed since the result was found."""
        return read_named(self.folder / name, self.manifest.files[name], LARGEST_FILE)


class DeviceResults(NamedTuple):
    """Those of one bundle on one device, under `root`."""

    root: Path
    bundle_hash: str
    device: Device

    @property
    def folder(self) -> Path:
        """Where they lie."""
        return self.root / self.bundle_hash / self.device.key

    def write(
        self,
        name: str,
        facts: Mapping[str, JsonValue],
        made: str,
        files: Mapping[str, bytes] | None = None,
        key: Path | None = None,
    ) -> DeviceResult:
        """Keep a result, all or nothing, in place of an older one of its name; key: a private key
        that signs it. Raises UserError where the key is none."""
        manifest = ResultManifest(
            name=name,
            bundle_hash=self.bundle_hash,
            device=self.device,
            facts=dict(facts),
            made=made,
            files={file: sha256(data) for file, data in (files or {}).items()},
        )
        manifest = manifest.model_copy(update={"result_hash": manifest.hash()})
        contents = {**(files or {}), RESULT: to_json(manifest.model_dump())}
        if key is not None:
            signature = sign(key, "device result", manifest.result_hash)
            contents[SIGNATURE] = to_json(signature.model_dump())
        write_sealed(self.folder / name, contents)
        found = self.find(name)
        assert found is not None
        return found

    def find(self, name: str, trusted: Collection[str] = ()) -> DeviceResult | None:
        """A result by its name, None where there is none; trusted: public keys of which one must
        have signed it, any or none may if there are none. Raises Refused for one that is damaged,
        of another bundle or device, or not signed as it must be."""
        folder = self.folder / name
        if not folder.exists():
            return None
        result = read_result(folder, trusted)
        self._require_own(result.manifest, name, folder / RESULT)
        return result

    def names(self) -> list[str]:
        """Of all results that are there."""
        return sorted(path.parent.name for path in self.folder.glob(f"[!.]*/{RESULT}"))

    def _require_own(self, manifest: ResultManifest, name: str, path: Path) -> None:
        found = {
            "result": (manifest.name, name),
            "bundle": (manifest.bundle_hash, self.bundle_hash),
            "device": (str(manifest.device), str(self.device)),
            "unit": (manifest.device.unit, self.device.unit),
        }
        for what, (theirs, mine) in found.items():
            if theirs != mine:
                told = f"{path} is of {what} {theirs}, here it is {mine}: make it anew here"
                raise Refused("device", told)


def read_result(folder: Path, trusted: Collection[str] = ()) -> DeviceResult:
    """A result of any bundle on any device; raises Refused for one that is damaged, or not signed
    by a trusted key where there are any."""
    path = folder / RESULT
    try:
        manifest = ResultManifest.model_validate(read_json(path))
    except ValidationError as error:
        place = ".".join(str(step) for step in error.errors()[0]["loc"])
        raise Refused(
            "manifest", f"{path} is no device result ({place}): remove {folder}"
        ) from None
    if manifest.hash() != manifest.result_hash:
        raise Refused("manifest", f"{path} was changed after it was written: remove {folder}")
    require_only(folder, {RESULT, *manifest.files})
    for file, digest in manifest.files.items():
        require_file(folder / file, digest)
    signer = signer_of(folder, "device result", manifest.result_hash, trusted)
    return DeviceResult(folder, manifest, signer)
