"""Whether a bag of others would unpack to more than it says, or than fits; before it is opened."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import IO, Any

from vdd_ros.datasets.bounded import MOST_BYTES, read_text, require_bounded
from vdd_ros.errors import UserError
from vdd_ros.yaml_text import load_yaml

MCAP_MAGIC_BYTES = 8
NO_RECORD, FOOTER, CHUNK, ATTACHMENT = 0x00, 0x02, 0x06, 0x09  # codes of records
CHUNK_HEAD = struct.Struct("<16xQ4xI")  # size of its records, length of the name of its packing
PACKED_LENGTH_BYTES, LONGEST_NAME = 8, 16
PACKINGS = ("zstd", "lz4")
PIECE = 1 << 20


def require_bag_bounded(path: Path) -> None:
    """Raise UserError where a piece of a bag is too large to be unpacked at once, or all of it is
    compressed as a whole. Bags themselves may be larger than memory."""
    files = [path]
    if path.is_dir():
        _require_uncompressed(path / "metadata.yaml")
        files = [one for one in path.iterdir() if one.suffix in (".mcap", ".db3")]
    try:
        for file in files:
            if file.suffix == ".mcap":
                _require_mcap_bounded(file)
    except OSError as error:
        raise UserError(f"{path} is not readable ({error}); restore it") from None


def _require_uncompressed(path: Path) -> None:
    try:
        raw: Any = load_yaml(read_text(path).decode())
        mode = raw["rosbag2_bagfile_information"].get("compression_mode")
    except (OSError, LookupError, TypeError, AttributeError, ValueError) as error:
        told = " ".join(str(error).split())
        raise UserError(
            f"{path} is no readable metadata of a bag ({told:.200}); restore it"
        ) from None
    if mode and str(mode).lower() != "none":
        raise UserError(
            f"{path}: the bag is compressed by {str(mode).lower()}, uncompressed ones and MCAP's "
            f"own chunks are read: convert it with `ros2 bag convert`"
        )


def _require_mcap_bounded(path: Path) -> None:
    """Each record by itself, as far as the file goes: its reader has one chunk in memory at a time,
    or as many as overlap."""
    with path.open("rb") as file:
        file.seek(MCAP_MAGIC_BYTES)
        while len(head := file.read(9)) == 9:
            code, length = struct.unpack("<BQ", head)
            if code in (NO_RECORD, FOOTER):
                return
            if code != ATTACHMENT:  # which nobody reads
                require_bounded(f"{path}: a piece of it", length)
            end = file.tell() + length
            if code == CHUNK:
                _require_chunk_bounded(path, file, end)
            file.seek(end)


def _require_chunk_bounded(path: Path, file: IO[bytes], end: int) -> None:
    """The file stands behind the head of a chunk's record, which ends there."""
    head = file.read(CHUNK_HEAD.size)
    if len(head) < CHUNK_HEAD.size:
        return
    size, name_length = CHUNK_HEAD.unpack(head)
    require_bounded(f"{path}: a chunk of it", size)
    if name_length > LONGEST_NAME:
        return
    compression = file.read(name_length).decode(errors="replace")
    if compression not in PACKINGS:
        return
    file.seek(PACKED_LENGTH_BYTES, io.SEEK_CUR)
    packed = file.read(max(0, end - file.tell()))
    if _unpacks_beyond(compression, packed, size):
        raise UserError(f"{path}: a chunk unpacks to more than it says; restore the bag")


def _unpacks_beyond(compression: str, packed: bytes, size: int) -> bool:
    import lz4.frame
    import zstandard

    stream: Any
    if compression == "zstd":
        stream = zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True)
    else:
        stream = lz4.frame.LZ4FrameFile(io.BytesIO(packed))
    unpacked = 0
    try:
        while piece := stream.read(PIECE):
            unpacked += len(piece)
            if unpacked > min(size, MOST_BYTES):
                return True
    except (zstandard.ZstdError, RuntimeError, EOFError):
        return False  # damaged, which its reader will tell
    return False
