"""Whether a bag of others would unpack to more than it says, or than fits; before it is opened."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from vdd_ros.datasets.bounded import MOST_BYTES, read_text, require_bounded
from vdd_ros.errors import UserError

MCAP_MAGIC_BYTES = 8
CHUNK = 0x06
PIECE = 1 << 20


def require_bag_bounded(path: Path) -> None:
    """Raise UserError where a bag is too large to be read at once, or is compressed as a whole."""
    files = [path]
    if path.is_dir():
        _require_uncompressed(path / "metadata.yaml")
        files = [one for one in path.iterdir() if one.suffix in (".mcap", ".db3")]
    try:
        for file in files:
            require_bounded(str(file), file.stat().st_size)
            if file.suffix == ".mcap":
                _require_mcap_bounded(file)
    except OSError as error:
        raise UserError(f"{path} is not readable ({error}); restore it") from None


def _require_uncompressed(path: Path) -> None:
    try:
        raw = yaml.safe_load(read_text(path))
        mode = raw["rosbag2_bagfile_information"].get("compression_mode")
    except (OSError, yaml.YAMLError, LookupError, TypeError, AttributeError, ValueError) as error:
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
    total = 0
    for compression, size, packed in _chunks(path):
        total += size
        require_bounded(str(path), total)
        if _unpacks_beyond(compression, packed, size):
            raise UserError(f"{path}: a chunk unpacks to more than it says; restore the bag")


def _chunks(path: Path) -> Iterator[tuple[str, int, bytes]]:
    """Compression, size and content of each chunk; as far as the file goes."""
    with path.open("rb") as file:
        file.seek(MCAP_MAGIC_BYTES)
        while len(head := file.read(9)) == 9:
            code, length = struct.unpack("<BQ", head)
            if code != CHUNK:
                file.seek(length, io.SEEK_CUR)
                continue
            require_bounded(str(path), length)
            record = file.read(length)
            if len(record) < 32:
                return
            size, name_length = struct.unpack_from("<16xQ4xI", record)
            begin = 32 + name_length
            yield record[32:begin].decode(errors="replace"), size, record[begin + 8 :]


def _unpacks_beyond(compression: str, packed: bytes, size: int) -> bool:
    import lz4.frame
    import zstandard

    if compression not in ("zstd", "lz4"):
        return False
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
