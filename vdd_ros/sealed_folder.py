"""Sealed folders: files under one hash, written all or nothing, read without trusting any of them.

One JSON file, the manifest, names the others with their sha256; its hash covers everything. What is
not named there, is no regular file or is larger than it may be is refused. Nothing is unpickled.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import stat
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, NoReturn

from pydantic import Field

from vdd_ros.durable import place_folder, sync_file, sync_folder
from vdd_ros.errors import UserError

MEGABYTE = 1 << 20
LARGEST_JSON = 4 * MEGABYTE
LARGEST_FILE = 2048 * MEGABYTE - 1  # of a protocol buffer, which an ONNX file is
PIECE_BYTES = 8 * MEGABYTE
MOST_DIGITS = 18  # of a whole number in JSON, so that it fits into 64 bits
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]  # as `sha256` makes it
SIGNATURE = "signature.json"  # beside the manifest, which cannot name what signs it


class Refused(UserError):
    """A folder that does not verify; check: the name of what it failed; told: why."""

    def __init__(self, check: str, told: str):
        super().__init__(f"{told} (check: {check})")
        self.check, self.told = check, told


class Missing(Refused):
    """A file that is not there."""


def write_sealed(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write these files as `folder`: beside its place, synced, then renamed; an older one in its
    place is replaced. Raises UserError where that cannot be."""
    folder = folder.resolve()  # `.` has no name to be renamed to
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=f".{folder.name[:100]}.", dir=folder.parent, ignore_cleanup_errors=True
        ) as scratch:
            fresh = Path(scratch) / "fresh"
            fresh.mkdir()
            fresh.chmod(0o755)
            for name, data in contents.items():
                with (fresh / name).open("wb") as file:
                    file.write(data)
                    sync_file(file)
            sync_folder(fresh)
            place_folder(fresh, folder)
    except OSError as error:
        told = f"{folder} cannot be written ({error.strerror}): name another place, or make room"
        raise UserError(told) from None


def to_json(value: Mapping) -> bytes:
    """The same bytes for the same value; raises ValueError for a number that JSON has not."""
    return (json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()


def sha256(data: bytes) -> str:
    """In hexadecimal digits, as a manifest has it."""
    return hashlib.sha256(data).hexdigest()


def hash_of(value: Mapping) -> str:
    """sha256 of what JSON says, however it is laid out. Of a manifest without its own hash it
    covers the whole folder, through `files`."""
    return sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode())


def read_bytes(path: Path, largest: int = LARGEST_JSON) -> bytes:
    """A regular file of a sealed folder, whole; raises Refused for anything else there."""
    return b"".join(_pieces(path, largest))


def read_named(path: Path, digest: str, largest: int = LARGEST_JSON) -> bytes:
    """As `read_bytes`; raises Refused, too, where it is not the file that the manifest names."""
    data = read_bytes(path, largest)
    if sha256(data) != digest:
        raise _changed(path)
    return data


def read_json(path: Path, largest: int = LARGEST_JSON) -> Any:
    """Raises Refused as `read_bytes` and `parsed_json` do."""
    return parsed_json(read_bytes(path, largest), str(path))


def parsed_json(data: bytes, where: str) -> Any:
    """Raises Refused for what is no JSON, says a key twice, or has numbers that no float64 and no
    int64 can be."""

    def once(pairs: list[tuple[str, object]]) -> dict:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError("a key is there twice")
        return found

    def none(word: str) -> NoReturn:
        raise ValueError(f"{word} is no number")

    def real(text: str) -> float:
        return float(text) if math.isfinite(float(text)) else none(text)

    def whole(text: str) -> int:
        return int(text) if len(text.lstrip("-")) <= MOST_DIGITS else none(f"{text:.20}...")

    try:
        return json.loads(
            data, object_pairs_hook=once, parse_constant=none, parse_float=real, parse_int=whole
        )
    except RecursionError:
        raise Refused("files", f"{where} nests too deeply: copy the folder again") from None
    except ValueError as error:
        told = f"{where} is not readable JSON ({error}): copy the folder again"
        raise Refused("files", told) from None


def require_file(path: Path, digest: str) -> None:
    """Raises Refused where the file is not there, or not the one that the manifest names."""
    found = hashlib.sha256()
    for piece in _pieces(path, LARGEST_FILE):
        found.update(piece)
    if found.hexdigest() != digest:
        raise _changed(path)


def require_only(folder: Path, names: Collection[str]) -> None:
    """Raises Refused where a folder holds anything but these files and a signature."""
    try:
        found = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        told = f"{folder} cannot be read ({error.strerror}): mend its permissions"
        raise Refused("files", told) from None
    extra = [name for name in found if name not in names and name != SIGNATURE]
    if extra:
        told = f"{folder} holds {extra[0]!r:.80}, which its manifest does not name: remove it"
        raise Refused("files", told)


def _changed(path: Path) -> Refused:
    told = f"{path} is damaged or edited (its sha256 differs): copy the folder again"
    return Refused("files", told)


def _pieces(path: Path, largest: int):
    """It never waits, as a named pipe would make it, and follows no link out of the folder."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise Missing("files", f"{path} is missing: copy the whole folder again") from None
    except OSError as error:
        why = "is a link" if error.errno == errno.ELOOP else f"cannot be read ({error.strerror})"
        told = f"{path} {why}; it has to be a file: copy the whole folder again"
        raise Refused("files", told) from None
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise Refused("files", f"{path} is no regular file: copy the whole folder again")
        if found.st_size > largest:
            told = f"{path} has {found.st_size} bytes, at most {largest} are read: export it again"
            raise Refused("files", told)
        left = largest
        while left > 0 and (piece := file.read(min(PIECE_BYTES, left))):
            left -= len(piece)
            yield piece
