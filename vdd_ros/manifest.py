"""Manifest: what an episode's folder says about itself, beside the recording."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, JsonValue, ValidationError

from vdd_ros.bounded_file import read_text_up_to
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.fields import Finite, Part

FORMAT_VERSION: Final = 1
FILE_NAME = "manifest.json"
PIECE_BYTES = 8 * 1024 * 1024
# within the episode's own folder, or one below
FILE = r"^([A-Za-z0-9_-][A-Za-z0-9._-]*/)?[A-Za-z0-9_-][A-Za-z0-9._-]*$"
LARGEST_BYTES = 4 * 1024 * 1024  # with a kinematic model in the contract it has some 100 KiB
Level = Literal["PASS", "WARN", "FAIL"]
Count = Annotated[int, Field(ge=0)]
Nanoseconds = Annotated[int, Field(gt=-(2**62), lt=2**62)]


class StreamSummary(Part):
    """count: messages kept; rate_hz: achieved between the first and the last; incomplete: messages
    without one of the contract's joints, which are not samples; longest_gap_s between two receipts;
    lost: messages that were sent and did not arrive, as far as the middleware tells; missing: gaps
    in the numbers that publishers give their messages, which may be the same; delay_s,
    delay_p95_s: from stamp to receipt, median and 95th percentile, None without stamps.
    """

    count: Count
    incomplete: Count
    rate_hz: Finite
    longest_gap_s: Finite
    lost: Count = 0
    missing: Count = 0
    delay_s: float | None = None
    delay_p95_s: float | None = None


class Calibration(Part):
    """sha256: of the file; made: the day, ISO 8601."""

    sha256: str
    made: str


class ClockSummary(Part):
    """The clock of another host while the episode was recorded [s].

    offset_s: by how much it was ahead, the median of so many times it was `measured`; least_s and
    most_s: the extremes; within_s: by how much any of them may be wrong.
    """

    measured: int
    offset_s: float
    least_s: float
    most_s: float
    within_s: float


class Verdict(Part):
    """Whether an episode is fit to learn from, and why not, one sentence a reason."""

    level: Level
    reasons: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.level}: {'; '.join(self.reasons)}" if self.reasons else self.level


class FileSummary(Part):
    bytes: Count
    sha256: str

    @classmethod
    def of(cls, path: Path) -> FileSummary:
        """Read a piece at a time: a recording of cameras is larger than memory."""
        digest, size = hashlib.sha256(), 0
        with path.open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                digest.update(piece)
                size += len(piece)
        return cls(bytes=size, sha256=digest.hexdigest())


def files_of(
    root: Path, folder: Path, known: Mapping[Path, FileSummary] | None = None
) -> dict[str, FileSummary]:
    """Of the files of a folder in an episode's own, `root`, by their paths within that, but for the
    manifest itself; known: of those whose sum is made already. Raises OSError."""
    return {
        str(path.relative_to(root)): (known or {}).get(path) or FileSummary.of(path)
        for path in folder.glob("*")
        if path.is_file() and path.name != FILE_NAME
    }


class Provenance(Part):
    """Where an episode is from, in words of whoever recorded it; empty where nobody said.

    operator: a pseudonym, no name; consent: what that person agreed to; licence: what others may do
    with the episode, such as CC-BY-4.0; prompt: the task as one would tell it; host: the computer.
    """

    operator: str = ""
    consent: str = ""
    licence: str = ""
    prompt: str = ""
    host: str = ""

    @property
    def told(self) -> dict[str, str]:
        """What is not empty."""
        return {name: text for name, text in self if text}


class Manifest(Part):
    """started: wall clock, ISO 8601; started_ns: ROS clock, as every stamp in the episode.

    cameras: of their pictures, as streams; incomplete: of those looked at, the unreadable.

    meta: whatever the operator (or the demonstrator) declared, such as the way taken or a seed;
    clocks: by host; response_s: from a joint's command to its motion, by joint, where it moved.
    """

    format_version: Literal[1] = FORMAT_VERSION
    name: str
    status: Literal["saved"]
    task: str
    started: str
    started_ns: Nanoseconds
    duration_s: Finite
    verdict: Verdict
    provenance: Provenance = Provenance()
    calibration: Calibration | None = None
    clocks: dict[str, ClockSummary] = {}
    response_s: dict[str, float] = {}
    meta: dict[str, JsonValue]
    streams: dict[str, StreamSummary]
    cameras: dict[str, StreamSummary] = {}
    files: dict[Annotated[str, Field(pattern=FILE)], FileSummary]
    software: str
    interface_hash: str
    contract_hash: str
    contract: Contract

    @property
    def camera_file(self) -> str | None:
        """The recording of its cameras, seen from the episode's folder; None where there is none.
        It may have the name under which the episode was recorded, and not that of now."""
        found = (name for name in self.files if "/" in name and name.endswith(".mcap"))
        return next(found, None)

    def to_json(self) -> str:
        plain = self.model_dump(mode="json") | {"contract": self.contract.to_dict()}
        return json.dumps(plain, indent=1) + "\n"

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """The manifest of an episode folder; raises UserError when there is none that fits."""
        path = folder / FILE_NAME
        try:
            text = read_text_up_to(path, LARGEST_BYTES)
            raw = json.loads(text, parse_constant=_finite, parse_float=_finite)
        except FileNotFoundError:
            raise UserError(
                f"no {FILE_NAME} in {folder}: not a saved episode; record it again, or import it"
            ) from None
        except (OSError, ValueError, RecursionError) as error:
            raise UserError(
                f"{path} is not readable JSON ({error}); restore it or delete the episode"
            ) from None
        found = raw.get("format_version") if isinstance(raw, dict) else None
        if found != FORMAT_VERSION:
            raise UserError(
                f"{path} has format_version {found!r}, this version reads {FORMAT_VERSION}: "
                f"use the software that wrote it, or record anew"
            )
        try:
            return cls.model_validate(raw)
        except ValidationError as error:
            fault = error.errors()[0]
            place = ".".join(str(step) for step in fault["loc"])
            raise UserError(
                f"{path}: {place}: {fault['msg']}; restore the file or delete the episode"
            ) from None

    def check_files(self, folder: Path, within: str | None = None) -> None:
        """Raise UserError unless every file is there, byte for byte as it was saved; within: only
        those of a folder below the episode's, empty for its own."""
        for name, saved in self.files.items():
            if within is not None and name.rpartition("/")[0] != within:
                continue
            path = folder / name
            if not path.is_file():
                raise UserError(f"{path} is missing; restore it or delete the episode")
            size = path.stat().st_size
            if size != saved.bytes:
                what = "is truncated" if size < saved.bytes else "has grown"
                raise UserError(
                    f"{path} {what}: {size} of {saved.bytes} bytes are there; "
                    f"restore it or delete the episode"
                )
            if FileSummary.of(path) != saved:
                raise UserError(
                    f"{path} is not the file that was saved (its sha256 differs from the "
                    f"manifest's); restore it or delete the episode"
                )


def _finite(text: str) -> float:
    """A number of JSON; Python would take NaN and Infinity, which nothing here can use."""
    if math.isfinite(number := float(text)):
        return number
    raise ValueError(f"{text} is no number")


def software_version() -> str:
    """The version of this package that is written into an episode."""
    try:
        return f"vdd_ros {version('vdd_ros')}"
    except PackageNotFoundError:
        return "vdd_ros, not installed"
