"""Walking through an MCAP file that may be damaged: what is sound in it, also behind damage.

A record is sound where its length fits the file and its content reads as what it says it is; of a
chunk and an attachment the checksum says so, too. Behind damage goes on, first, the record that
would follow by the damaged one's length; otherwise the next chunk that is sound, wherever it
begins.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple

from vdd_ros.mcap_records import LARGEST_CHUNK_BYTES, OF_LENGTHS, chunk_data

if TYPE_CHECKING:
    from mmap import mmap

    from mcap.records import Footer, McapRecord

MAGIC = b"\x89MCAP0\r\n"
RECORD = struct.Struct("<BQ")  # opcode and length, before every record
MESSAGE = struct.Struct("<HIQQ")  # channel, sequence, log time, publish time
# What MCAP leaves to programs, and its readers pass by: damage that is covered up.
COVER = 0x80
ENDS_EARLY = "it ends within a record"  # as the file of a process that was killed does
NO_RECORD = "no record begins there"
# a chunk, of less than 4 GiB: its length, times, size and checksum, and how it is packed
CHUNK = re.compile(rb"\x06[\s\S]{4}\0{4}[\s\S]{28}(?:\0{4}|\x04\0{3}zstd|\x03\0{3}lz4)")
MOST_TOLD = 3


class Piece(NamedTuple):
    """A sound record and where it is; content: of a chunk its unpacked records. None stands for
    damage that was covered up."""

    record: McapRecord | None
    begin: int
    end: int
    content: bytes = b""


class Skipped(NamedTuple):
    """Bytes of a file that are no sound record, and why."""

    begin: int
    end: int
    why: str

    @property
    def is_ending(self) -> bool:
        """Whether it is what a killed process was about to write."""
        return self.why == ENDS_EARLY

    def __str__(self) -> str:
        return f"{self.end - self.begin:,} bytes from {self.begin:,} on ({self.why})"


def told(skipped: Sequence[Skipped]) -> str | None:
    """What is wrong with a file, as a clause; None where nothing is."""
    damaged = [one for one in skipped if not one.is_ending]
    if not damaged:
        return ENDS_EARLY if skipped else None
    total = sum(one.end - one.begin for one in damaged)
    more = "" if len(damaged) <= MOST_TOLD else f" and {len(damaged) - MOST_TOLD} more"
    listed = ", ".join(str(one) for one in damaged[:MOST_TOLD])
    return f"of its bytes {total:,} are damaged and were skipped: {listed}{more}"


def walk(data: bytes | mmap) -> Iterator[Piece | Skipped]:
    """All of a file, in order; one chunk in memory at a time. Of a file that has no proper end the
    last is what it ends with, or nothing where it ends with a record, as skipped."""
    from mcap.records import Footer

    size, place = len(data), min(len(MAGIC), len(data))
    if data[:place] != MAGIC:
        yield Skipped(0, place, "not a valid MCAP file")
    while place < size:
        found = _read(data, place)
        if isinstance(found, Piece):
            if isinstance(found.record, Footer):
                yield _ending(data, found, found.record)
                return
            yield found
            place = found.end
            continue
        end = _behind(data, place)
        # of a record that is longer than the file its beginning is there, unless more follows
        why = "its length is none" if found == ENDS_EARLY and end < size else found
        yield Skipped(place, end, why)
        if why == ENDS_EARLY:
            return
        place = end
    yield Skipped(size, size, ENDS_EARLY)


def _ending(data: bytes | mmap, piece: Piece, footer: Footer) -> Piece | Skipped:
    """A footer, where it is the last of a file and the table before it is what was written."""
    if piece.end + len(MAGIC) > len(data):
        return Skipped(piece.begin, len(data), ENDS_EARLY)
    if data[piece.end :] != MAGIC:
        return Skipped(piece.begin, len(data), "something follows its end")
    table = data[min(footer.summary_start, piece.end) : piece.end - 4]
    if footer.summary_crc and footer.summary_crc != zlib.crc32(table):
        return Skipped(piece.begin, len(data), "its summary is not what was written (CRC)")
    return piece


def _behind(data: bytes | mmap, place: int) -> int:
    """Where it goes on behind a record that is not sound, at the latest the file's end."""
    if len(data) - place >= RECORD.size:
        following = place + RECORD.size + RECORD.unpack_from(data, place)[1]
        if following < len(data) and isinstance(_read(data, following), Piece):
            return following
    return _next_chunk(data, place + RECORD.size)


def _next_chunk(data: bytes | mmap, place: int) -> int:
    """Where a sound chunk begins next; the file's end, where none does."""
    for match in CHUNK.finditer(data, place):
        if isinstance(_read(data, match.start()), Piece):
            return match.start()
    return len(data)


def _read(data: bytes | mmap, place: int) -> Piece | str:
    """The record at a place, or why there is none."""
    from mcap.exceptions import McapError
    from mcap.opcode import Opcode

    if len(data) - place < RECORD.size:
        return ENDS_EARLY
    opcode, length = RECORD.unpack_from(data, place)
    begin, end = place + RECORD.size, place + RECORD.size + length
    if opcode != COVER and opcode not in Opcode.__members__.values():
        return NO_RECORD
    if end > len(data):
        return ENDS_EARLY
    if opcode == COVER:
        return Piece(None, place, end)
    if opcode == Opcode.CHUNK and not _may_be_chunk(data, begin, length):
        return "a chunk is longer or shorter than it says"
    if length > 2 * LARGEST_CHUNK_BYTES:
        return "no record is that long"
    try:
        record, content = _parsed(opcode, data[begin:end])
    except (McapError, ValueError, struct.error, *OF_LENGTHS) as error:
        return str(error) or "it is not what it says it is"
    return Piece(record, place, end, content)


def _may_be_chunk(data: bytes | mmap, begin: int, length: int) -> bool:
    """Whether the lengths within a chunk add up, before anything of it is copied."""
    head = struct.calcsize("<QQQI")
    if length < head + 4 + 8:
        return False
    name = struct.unpack_from("<I", data, begin + head)[0]
    if name > 4 or length < head + 4 + name + 8:
        return False
    return struct.unpack_from("<Q", data, begin + head + 4 + name)[0] == length - head - 12 - name


def _parsed(opcode: int, body: bytes) -> tuple[McapRecord, bytes]:
    """A record and the content of a chunk; raises what reading damage raises."""
    from mcap import records
    from mcap.data_stream import ReadDataStream
    from mcap.opcode import Opcode

    stream = ReadDataStream(BytesIO(body))
    if opcode == Opcode.MESSAGE:
        return records.Message.read(stream, len(body)), b""
    name = "".join(word.title() for word in Opcode(opcode).name.split("_"))
    record = getattr(records, name).read(stream)
    if stream.count != len(body):
        raise ValueError("a record is longer or shorter than it says")
    if isinstance(record, records.Chunk):
        return record, chunk_data(record)
    is_checked = isinstance(record, records.Attachment)
    if is_checked and zlib.crc32(body[:-4]) != struct.unpack("<I", body[-4:])[0]:
        raise ValueError("an attachment is not what was written (CRC)")
    return record, b""
