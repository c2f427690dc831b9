"""Records of an MCAP file, in no more memory than a recording of its size can need.

A damaged or hostile file may say that a chunk is gigabytes long, or uncompress to them.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from mcap.records import Chunk, Footer, McapRecord

LARGEST_CHUNK_BYTES = 256 * 1024 * 1024
# what reading raises where a damaged length asks for more than there can be
OF_LENGTHS = (MemoryError, OverflowError)
# Joint states shrink to a quarter or so, still pictures of a plain scene to a thirtieth.
LARGEST_GROWTH = 50
AFTER_SUMMARY = 4 + 8  # bytes of the checksum, and of the mark at the end of a file
ALWAYS_BYTES = 64 * 1024 * 1024


def records(path: Path) -> Iterator[McapRecord]:
    """What is in a file, in the order it was written, without chunks; raises McapError, ZstdError,
    struct.error or ValueError where it is damaged."""
    from mcap.records import Chunk, Footer
    from mcap.stream_reader import StreamReader

    size = path.stat().st_size
    left = max(ALWAYS_BYTES, LARGEST_GROWTH * size)
    with path.open("rb") as file:
        reader = StreamReader(
            _Bounded(file, size),  # type: ignore[arg-type]  # it only reads
            emit_chunks=True,
            validate_crcs=True,
            record_size_limit=size,
        )
        for record in reader.records:
            if isinstance(record, Footer):
                _require_summary(path, record)
            if not isinstance(record, Chunk):
                yield record
                continue
            data = _uncompressed(record, min(left, LARGEST_CHUNK_BYTES))
            left -= len(data)
            yield from records_in(replace(record, compression="", data=data))


def records_in(chunk: Chunk) -> Iterator[McapRecord]:
    """What is in a chunk. What is not expected there ends it: zeros would be millions of empty
    records, each of which takes its time."""
    from mcap.opcode import Opcode
    from mcap.records import Channel, Message, Schema
    from mcap.stream_reader import get_chunk_data_stream

    stream, size = get_chunk_data_stream(chunk, validate_crc=True)
    while stream.count < size:
        opcode, length = stream.read1(), stream.read8()
        if opcode == Opcode.MESSAGE:
            yield Message.read(stream, length)
        elif opcode == Opcode.CHANNEL:
            yield Channel.read(stream)
        elif opcode == Opcode.SCHEMA:
            yield Schema.read(stream)
        else:
            raise ValueError(f"a chunk holds a record of kind {opcode}")


def _require_summary(path: Path, footer: Footer) -> None:
    """Raise ValueError where the index that other readers begin with is not what was written."""
    if not footer.summary_crc:  # a writer may leave it out
        return
    with path.open("rb") as file:
        file.seek(min(footer.summary_start, path.stat().st_size))
        content = file.read()
    if footer.summary_crc != zlib.crc32(content[:-AFTER_SUMMARY]):
        raise ValueError("its summary is damaged, or something follows its end")


def chunk_data(chunk: Chunk) -> bytes:
    """The records of a chunk; raises ValueError where they are not what was written."""
    from zstandard import ZstdError

    try:
        data = _uncompressed(chunk, LARGEST_CHUNK_BYTES)
    except ZstdError as error:
        raise ValueError(f"a chunk is damaged: {error}") from None
    if zlib.crc32(data) != chunk.uncompressed_crc:
        raise ValueError("a chunk is not what was written (CRC)")
    return data


def _uncompressed(chunk: Chunk, largest: int) -> bytes:
    """Never more than `largest` bytes, whatever the chunk says."""
    import lz4.frame
    import zstandard

    size = chunk.uncompressed_size
    if size > largest:
        raise ValueError(
            f"a chunk of {len(chunk.data)} bytes would uncompress to {size}, more than a recording "
            "of this size can have"
        )
    data = chunk.data
    if chunk.compression == "zstd":
        # what the frame itself says is allocated at once
        if zstandard.frame_content_size(data) not in (-1, size):
            raise ValueError("a chunk is longer or shorter than it says")
        data = zstandard.decompress(data, size)
    elif chunk.compression == "lz4":
        try:
            data = lz4.frame.LZ4FrameDecompressor().decompress(data, max_length=size + 1)
        except RuntimeError as error:
            raise ValueError(f"a chunk is damaged: {error}") from None
    elif chunk.compression:
        raise ValueError(f"a chunk is compressed by {chunk.compression!r}, not zstd or lz4")
    if len(data) != size:
        raise ValueError("a chunk is longer or shorter than it says")
    return data


class _Bounded:
    """A file that is never asked for more than it has: a read allocates what it is asked for."""

    def __init__(self, file: IO[bytes], size: int):
        self._file, self._left = file, size

    def read(self, length: int) -> bytes:
        """At most what is left."""
        data = self._file.read(min(length, self._left))
        self._left -= len(data)
        return data
