"""Writing a bundle: hashes of its files, its certificate's page, its signature, all or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vdd_ros.bundle_manifest import CERTIFICATE, MANIFEST, PAGE, REQUIRED, Manifest
from vdd_ros.certificate import certificate_of
from vdd_ros.certificate_page import page_of
from vdd_ros.errors import UserError
from vdd_ros.sealed_folder import SIGNATURE, sha256, to_json, write_sealed
from vdd_ros.signature import sign


def place(
    folder: Path, manifest: Manifest, files: Mapping[str, bytes], key: Path | None = None
) -> None:
    """Write a bundle of these files, in place of an older one and of nothing else.

    manifest: what it says of them is worked out anew; files: but for the manifest; key: a private
    key that signs it. Raises UserError where `folder` is something else than a bundle.
    """
    if folder.is_symlink():
        raise UserError(f"{folder} is a link, and a bundle is never changed: name a new folder")
    if folder.exists() and not (folder / MANIFEST).is_file():
        raise UserError(f"{folder} exists and is no bundle: name a new folder, or remove this one")
    above = folder.absolute().parent
    if all((above / name).is_file() for name in (MANIFEST, *REQUIRED)):
        raise UserError(
            f"{folder} is within the bundle {above}, which it would damage: name another"
        )
    certificate = certificate_of(files[CERTIFICATE], str(folder))
    contents = {file: data for file, data in files.items() if file != PAGE}
    manifest = _with_files(manifest, contents)
    if certificate is not None:
        own = certificate.model_copy(update={"policy_hash": manifest.policy_hash})
        contents[CERTIFICATE] = to_json(own.to_dict())
        contents[PAGE] = page_of(own, manifest).encode()
        manifest = _with_files(manifest, contents)
    manifest = manifest.model_copy(update={"bundle_hash": manifest.hash()})
    contents[MANIFEST] = to_json(manifest.told())
    if key is not None:
        signature = sign(key, "bundle", manifest.bundle_hash)
        contents[SIGNATURE] = to_json(signature.model_dump())
    write_sealed(folder, contents)


def _with_files(manifest: Manifest, contents: Mapping[str, bytes]) -> Manifest:
    return manifest.model_copy(
        update={"files": {file: sha256(data) for file, data in contents.items()}}
    )
