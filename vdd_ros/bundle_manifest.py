"""bundle.json: what a bundle says of itself, and which files belong to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from vdd_ros.errors import UserError
from vdd_ros.fields import Part
from vdd_ros.sealed_folder import Hash, Missing, Refused, hash_of, read_json

MANIFEST = "bundle.json"
NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
POLICY, CONTRACT, NORMALIZER = "policy.onnx", "contract.json", "normalizer.json"
CERTIFICATE, PAGE = "certificate.json", "certificate.md"
EXPERT, DENSITY = "expert.onnx", "density.onnx"
START, OOD_DETECTOR = "start.json", "ood_detector.json"
REFERENCE, RECORDED = "reference.json", "windows.npy"
REQUIRED = (POLICY, CONTRACT, NORMALIZER, CERTIFICATE)
OPTIONAL = (EXPERT, DENSITY, START, OOD_DETECTOR, REFERENCE, RECORDED, PAGE)
# numbers as text: a normalizer has a covariance over a whole chunk
LARGEST_NUMBERS = 128 * (1 << 20)
Precision = Literal["fp32", "fp16", "int8"]


def encoder_file(image: str) -> str:
    """Where a bundle has the encoder of an image."""
    return f"encoder_{image}.onnx"


class Manifest(Part):
    """bundle.json. files: sha256 of every other file by name; method: what the policy was distilled
    by, teacher for none; nfe: network evaluations per chunk; is_stochastic: whether noise is added
    on the way from the noise that it starts from; precision: of policy.onnx, fp32 where nothing is
    said; image_features: numbers that an encoder makes of each image, where there are images;
    created: ISO 8601, of older bundles; now the same run makes the same bytes.
    Bundles made before one of these was told lack it.
    """

    format_version: Literal[1] = 1
    name: str = Field(pattern=NAME)
    kind: Literal["mixture", "diffusion"]
    n_obs_steps: int = Field(ge=1)
    horizon: int = Field(ge=1)
    n_experts: int = Field(ge=1)
    method: str | None = None
    nfe: int | None = Field(default=None, ge=1)
    is_stochastic: bool | None = None
    precision: Precision | None = None
    image_features: int | None = Field(default=None, ge=1)
    acting_rule: dict
    interface_hash: Hash
    contract_hash: Hash
    created: str | None = None
    files: dict[str, Hash]
    bundle_hash: str = ""

    def hash(self) -> str:
        """sha256 of everything but `bundle_hash`; through `files` it covers the whole folder."""
        told = self.told()
        del told["bundle_hash"]
        return hash_of(told)

    @property
    def policy_hash(self) -> str:
        """sha256 of all that decides what it does: of its bundle but for name, date and
        certificate. What was found of one bundle holds for another one with the same."""
        told = self.told()
        for name in ("bundle_hash", "name", "created"):
            told.pop(name, None)
        files = self.files.items()
        told["files"] = {name: one for name, one in files if name not in (CERTIFICATE, PAGE)}
        return hash_of(told)

    @property
    def encoders(self) -> set[str]:
        """Which of its files are encoders of images."""
        return {name for name in self.files if fnmatch(name, encoder_file("*"))}

    def told(self) -> dict:
        """As it is in the file, where nothing is said of what is not known."""
        return self.model_dump(exclude_none=True)


def read_manifest(folder: Path) -> Manifest:
    """Raises Refused for one that is missing, damaged or edited, or names files of no bundle."""
    path = folder / MANIFEST
    with checking("manifest"):
        try:
            raw = read_json(path)
        except Missing:
            raise Missing("files", f"{path} is missing: {_instead_of_bundle(folder)}") from None
    try:
        manifest = Manifest.model_validate(raw)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(str(step) for step in fault["loc"]) or "top level"
        place = place.encode("unicode_escape").decode()  # a key may say anything to a terminal
        told = f"{path}: {place:.80}: {fault['msg']}: export the bundle again"
        raise Refused("manifest", told) from None
    if manifest.hash() != manifest.bundle_hash:
        told = f"{path} was changed after it was written: export the bundle again"
        raise Refused("manifest", told)
    unknown = sorted(set(manifest.files) - {*REQUIRED, *OPTIONAL, *manifest.encoders})
    if unknown:
        told = (
            f"{path} lists {unknown[0]!r:.80}, a file that no bundle has: export the bundle again"
        )
        raise Refused("manifest", told)
    lacking = sorted(set(REQUIRED) - set(manifest.files))
    if lacking:
        told = f"{path} does not list {', '.join(lacking)}: export the bundle again"
        raise Refused("manifest", told)
    return manifest


def _instead_of_bundle(folder: Path) -> str:
    if not folder.is_dir():
        return "there is no such folder; name one that `vdd export` made"
    if (folder / "run.json").is_file():
        return f"that is a run; make a bundle of it by `vdd export --run {folder} --out BUNDLE`"
    return "copy the whole folder again"


@contextmanager
def checking(check: str) -> Iterator[None]:
    """What is wrong within is wrong with this check; more than one name is not needed."""
    try:
        yield
    except Refused as error:
        if error.check != "files":
            raise
        raise Refused(check, error.told) from None
    except UserError as error:
        raise Refused(check, str(error)) from None
