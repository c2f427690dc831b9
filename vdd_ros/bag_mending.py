"""Mending: a bag whose writer was killed gets its ending, where it lies.

An MCAP file that was cut off has its messages but no table of them at its end, without which few
programs open it. Copying it whole would do for joints; hours of images are given what they lack in
place. What is there of whole chunks stays untouched, so that a mending that is itself cut off is
done again.
"""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import IO, Any, NamedTuple

from vdd_ros.bag import CONTRACT_ATTACHMENT
from vdd_ros.contract import Contract
from vdd_ros.durable import sync_file
from vdd_ros.errors import UserError
from vdd_ros.mcap_records import OF_LENGTHS, chunk_data

RECORD = struct.Struct("<BQ")  # opcode and length, before every record
MESSAGE = struct.Struct("<HIQQ")  # channel, sequence, log time, publish time


class Mended(NamedTuple):
    """contract: None where the file ends before it, and then it is as it was; counts: messages by
    topic; received_ns: of the first and the last; damage: why it had no ending, None where it had.
    """

    contract: Contract | None
    counts: dict[str, int]
    received_ns: tuple[int, int]
    damage: str | None

    @property
    def messages(self) -> int:
        return sum(self.counts.values())


@dataclass
class _Found:
    """Records of a file, as far as it is whole; end: where that is [bytes]."""

    schemas: dict[int, Any] = field(default_factory=dict)
    channels: dict[int, Any] = field(default_factory=dict)
    attachments: list[Any] = field(default_factory=list)
    chunks: list[Any] = field(default_factory=list)
    last: dict[int, list[tuple[int, int]]] = field(default_factory=dict)  # times, places in it
    counts: dict[int, int] = field(default_factory=dict)
    contract: Contract | None = None
    end: int = 0
    finished: bool = False

    def take(self, record: Any, begin: int, end: int) -> None:
        """A record between two places; raises ValueError where a chunk is not what was written."""
        from mcap.records import Attachment, AttachmentIndex, Chunk, Footer, MessageIndex

        if isinstance(record, Chunk):
            self._take_chunk(record, begin, end)
        elif isinstance(record, MessageIndex):
            self.chunks[-1].message_index_offsets[record.channel_id] = begin
            self.chunks[-1].message_index_length += end - begin
        elif isinstance(record, Attachment):
            self.attachments.append(
                AttachmentIndex(
                    begin, end - begin, record.log_time, record.create_time, len(record.data),
                    record.name, record.media_type,
                )
            )  # fmt: skip
            if record.name == CONTRACT_ATTACHMENT:
                self.contract = Contract.from_dict(json.loads(record.data))
        self.finished = self.finished or isinstance(record, Footer)
        self.end = end

    def _take_chunk(self, chunk: Any, begin: int, end: int) -> None:
        from mcap.data_stream import ReadDataStream
        from mcap.opcode import Opcode
        from mcap.records import Channel, ChunkIndex, Schema

        data = chunk_data(chunk)
        self.last, place = {}, 0
        while place < len(data):
            opcode, length = RECORD.unpack_from(data, place)
            body = place + RECORD.size
            if opcode == Opcode.MESSAGE:
                channel, _, log_time, _ = MESSAGE.unpack_from(data, body)
                self.last.setdefault(channel, []).append((log_time, place))
            elif opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
                stream = ReadDataStream(BytesIO(data[body : body + length]))
                is_schema = opcode == Opcode.SCHEMA
                record = Schema.read(stream) if is_schema else Channel.read(stream)
                (self.schemas if is_schema else self.channels)[record.id] = record
            place = body + length
        for channel, entries in self.last.items():
            self.counts[channel] = self.counts.get(channel, 0) + len(entries)
        self.chunks.append(
            ChunkIndex(
                chunk_length=end - begin,
                chunk_start_offset=begin,
                compression=chunk.compression,
                compressed_size=len(chunk.data),
                message_end_time=chunk.message_end_time,
                message_index_length=0,
                message_index_offsets={},
                message_start_time=chunk.message_start_time,
                uncompressed_size=chunk.uncompressed_size,
            )
        )


def mend(path: Path) -> Mended:
    """Give a file its ending where it has none, on the disk on return; raises OSError."""
    with path.open("r+b") as file:
        found, damage = _read(file, path.stat().st_size)
        if found.contract is not None and not found.finished:
            file.truncate(found.end)
            file.seek(found.end)
            _finish(file, found)
            sync_file(file)
    topics = {number: channel.topic for number, channel in found.channels.items()}
    counts = {topics[number]: count for number, count in found.counts.items() if number in topics}
    times = [(one.message_start_time, one.message_end_time) for one in found.chunks]
    first = min((begin for begin, _ in times), default=0)
    last = max((end for _, end in times), default=0)
    return Mended(found.contract, counts, (first, last), damage)


def _read(file: IO[bytes], size: int) -> tuple[_Found, str | None]:
    """What is whole, one chunk in memory at a time, and why there is no more, None at the end."""
    from mcap.exceptions import EndOfFile, McapError
    from mcap.stream_reader import StreamReader

    found = _Found()
    # the writer's own files have no CRC of all data, which would have to be computed anew
    records = StreamReader(file, emit_chunks=True, record_size_limit=size).records
    begin = len(MAGIC)
    try:
        for record in records:
            found.take(record, begin, file.tell())
            begin = file.tell()
    except (EndOfFile, struct.error):
        return found, "it ends within a record"
    except (McapError, ValueError, UserError, *OF_LENGTHS) as error:
        return found, str(error) or type(error).__name__
    return found, None


MAGIC = b"\x89MCAP0\r\n"


def _finish(file: IO[bytes], found: _Found) -> None:
    """Write what a writer writes when it finishes, to the end of the file."""
    from mcap.data_stream import RecordBuilder
    from mcap.records import DataEnd, MessageIndex

    records = RecordBuilder()
    if found.chunks and set(found.last) != set(found.chunks[-1].message_index_offsets):
        index = found.chunks[-1]  # cut off behind the chunk, before all was said of it
        index.message_index_offsets, index.message_index_length = {}, 0
        file.truncate(index.chunk_start_offset + index.chunk_length)
        begin = file.seek(0, 2)
        for channel, entries in found.last.items():
            index.message_index_offsets[channel] = begin + records.count
            MessageIndex(channel, entries).write(records)
        index.message_index_length = records.count
    DataEnd(0).write(records)
    file.write(records.end())
    file.write(_summary(found, file.tell()))
    file.write(MAGIC)


def _summary(found: _Found, start: int) -> bytes:
    """The summary section and the footer, for a summary that starts at a place of the file."""
    from mcap.data_stream import RecordBuilder
    from mcap.opcode import Opcode
    from mcap.records import Footer, Statistics, SummaryOffset

    statistics = Statistics(
        attachment_count=len(found.attachments),
        channel_count=len(found.channels),
        channel_message_counts=found.counts,
        chunk_count=len(found.chunks),
        message_count=sum(found.counts.values()),
        message_start_time=min((one.message_start_time for one in found.chunks), default=0),
        message_end_time=max((one.message_end_time for one in found.chunks), default=0),
        metadata_count=0,
        schema_count=len(found.schemas),
    )
    groups = {
        Opcode.SCHEMA: found.schemas.values(),
        Opcode.CHANNEL: found.channels.values(),
        Opcode.STATISTICS: [statistics],
        Opcode.CHUNK_INDEX: found.chunks,
        Opcode.ATTACHMENT_INDEX: found.attachments,
    }
    summary, offsets = RecordBuilder(), []
    for opcode, records in groups.items():
        begin = summary.count
        for record in records:
            record.write(summary)
        offsets.append(SummaryOffset(opcode, start + begin, summary.count - begin))
    offset_start = start + summary.count
    for offset in offsets:
        offset.write(summary)
    data = summary.end()
    head = struct.pack("<BQQQ", Opcode.FOOTER, 8 + 8 + 4, start, offset_start)
    footer = RecordBuilder()
    Footer(start, offset_start, zlib.crc32(head, zlib.crc32(data))).write(footer)
    return data + footer.end()
