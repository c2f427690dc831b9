"""Mending: a bag whose writer was killed gets its ending, where it lies.

An MCAP file that was cut off has its messages but no table of them at its end, without which few
programs open it. Copying it whole would do for joints; hours of images are given what they lack in
place. What is there of whole chunks stays untouched, so that a mending that is itself cut off is
done again. Damage in between is covered up: nine bytes before it say that it is nothing that
readers of MCAP know, and what they were is kept in a file beside.
"""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass, field
from io import BytesIO
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import IO, Any, NamedTuple

from vdd_ros.bag import CONTRACT_ATTACHMENT, registered
from vdd_ros.bag_walk import COVER, ENDS_EARLY, MAGIC, MESSAGE, RECORD, Piece, Skipped, told, walk
from vdd_ros.camera_writer import camera_topics
from vdd_ros.contract import Contract
from vdd_ros.durable import replace_text, sync_file
from vdd_ros.errors import UserError


class Mended(NamedTuple):
    """contract: None where it cannot be read, and then the file is as it was; counts: messages by
    topic; received_ns: of the first and the last; damage: why it had no ending, or what of it is
    skipped, None where it was whole; is_damaged: whether anything is.
    """

    contract: Contract | None
    counts: dict[str, int]
    received_ns: tuple[int, int]
    damage: str | None
    is_damaged: bool = False

    @property
    def messages(self) -> int:
        return sum(self.counts.values())


@dataclass
class _Found:
    """Sound records of a file; end: where its messages end [bytes]; bare: entries of chunks by
    number whose own index is not whole; skipped: what is not sound."""

    schemas: dict[int, Any] = field(default_factory=dict)
    channels: dict[int, Any] = field(default_factory=dict)
    attachments: list[Any] = field(default_factory=list)
    chunks: list[Any] = field(default_factory=list)
    bare: dict[int, dict[int, list[tuple[int, int]]]] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)
    contract: Contract | None = None
    end: int = 0
    has_table: bool = False  # whether `end` is known, and what follows is said once more
    _entries: dict[int, list[tuple[int, int]]] = field(default_factory=dict)  # of the last chunk

    def skip(self, what: Skipped) -> None:
        """Something that is not sound."""
        self.skipped.append(what)
        self._entries = {}
        if not self.has_table and not what.is_ending:
            self.end = what.end

    def take(self, piece: Piece) -> None:
        """A record, in order."""
        from mcap import records

        record = piece.record
        if isinstance(record, records.DataEnd | records.Statistics | records.ChunkIndex):
            self.has_table = True
        if self.has_table:
            return
        self.end = piece.end
        if isinstance(record, records.Chunk):
            self._take_chunk(record, piece)
        elif isinstance(record, records.MessageIndex):
            self._take_index(record, piece)
        elif isinstance(record, records.Attachment):
            self.attachments.append(
                records.AttachmentIndex(
                    piece.begin, piece.end - piece.begin, record.log_time, record.create_time,
                    len(record.data), record.name, record.media_type,
                )
            )  # fmt: skip
            if record.name == CONTRACT_ATTACHMENT:
                self._take_contract(record.data)

    def _take_contract(self, data: bytes) -> None:
        try:
            self.contract = Contract.from_dict(json.loads(data))
        except (ValueError, UserError, RecursionError):
            return  # of whatever it is a bag, nothing here can tell

    def _take_index(self, record: Any, piece: Piece) -> None:
        if record.records != self._entries.get(record.channel_id):  # of one that was skipped
            if self.skipped and self.skipped[-1].end == piece.begin:
                self.skipped[-1] = self.skipped[-1]._replace(end=piece.end)
            return
        number = len(self.chunks) - 1
        self.chunks[number].message_index_offsets[record.channel_id] = piece.begin
        self.chunks[number].message_index_length += piece.end - piece.begin
        if set(self.bare.get(number, ())) == set(self.chunks[number].message_index_offsets):
            del self.bare[number]

    def _take_chunk(self, chunk: Any, piece: Piece) -> None:
        from mcap.data_stream import ReadDataStream
        from mcap.opcode import Opcode
        from mcap.records import Channel, ChunkIndex, Schema

        entries: dict[int, list[tuple[int, int]]] = {}
        data, place = piece.content, 0
        while place < len(data):
            opcode, length = RECORD.unpack_from(data, place)
            body = place + RECORD.size
            if opcode == Opcode.MESSAGE:
                channel, _, log_time, _ = MESSAGE.unpack_from(data, body)
                entries.setdefault(channel, []).append((log_time, place))
            elif opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
                stream = ReadDataStream(BytesIO(data[body : body + length]))
                is_schema = opcode == Opcode.SCHEMA
                record = Schema.read(stream) if is_schema else Channel.read(stream)
                (self.schemas if is_schema else self.channels)[record.id] = record
            place = body + length
        for channel, own in entries.items():
            self.counts[channel] = self.counts.get(channel, 0) + len(own)
        if entries:
            self.bare[len(self.chunks)] = entries  # until its index comes
        self._entries = entries
        self.chunks.append(
            ChunkIndex(
                chunk_length=piece.end - piece.begin,
                chunk_start_offset=piece.begin,
                compression=chunk.compression,
                compressed_size=len(chunk.data),
                message_end_time=chunk.message_end_time,
                message_index_length=0,
                message_index_offsets={},
                message_start_time=chunk.message_start_time,
                uncompressed_size=chunk.uncompressed_size,
            )
        )

    def name_channels(self) -> None:
        """Where the chunk that says what the channels are was skipped, the contract does."""
        if self.contract is None or set(self.counts) <= set(self.channels):
            return
        for _, schema, channel in registered(camera_topics(self.contract)):
            self.schemas.setdefault(schema.id, schema)
            self.channels.setdefault(channel.id, channel)


def mend(path: Path) -> Mended:
    """Give a file its ending where it has none, and one without what is damaged where it is, on the
    disk on return; raises OSError."""
    with path.open("r+b") as file:
        found = _read(file)
        found.name_channels()
        if found.contract is not None and found.skipped:
            _cover_up(path, file, _damaged(found))
            file.truncate(found.end)
            file.seek(found.end)
            _finish(file, found)
            sync_file(file)
    topics = {number: channel.topic for number, channel in found.channels.items()}
    counts = {topics[number]: count for number, count in found.counts.items() if number in topics}
    times = [(one.message_start_time, one.message_end_time) for one in found.chunks]
    first = min((begin for begin, _ in times), default=0)
    last = max((end for _, end in times), default=0)
    is_damaged = any(not one.is_ending for one in found.skipped)
    return Mended(found.contract, counts, (first, last), told(found.skipped), is_damaged)


def _read(file: IO[bytes]) -> _Found:
    """What is sound, one chunk in memory at a time."""
    from mcap.exceptions import McapError

    found = _Found()
    if not file.seek(0, 2):  # nothing can be mapped
        found.skip(Skipped(0, 0, ENDS_EARLY))
        return found
    with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        for one in walk(data):
            if isinstance(one, Skipped):
                found.skip(one)
                continue
            try:
                found.take(one)
            except (McapError, ValueError, struct.error) as error:  # a chunk of something else
                found.skip(Skipped(one.begin, one.end, str(error)))
    return found


def _damaged(found: _Found) -> list[Skipped]:
    """What stays in the file."""
    return [one for one in found.skipped if not one.is_ending and one.end <= found.end]


def _cover_up(path: Path, file: IO[bytes], skipped: list[Skipped]) -> None:
    """Make a record of each damaged place that readers pass by; what its first bytes were is on the
    disk before they are another thing."""
    if not skipped:
        return
    beside = path.with_name(f"{path.stem}_damage.json")
    known = json.loads(beside.read_text(encoding="utf-8")) if beside.is_file() else []
    for one in skipped:
        file.seek(one.begin)
        first = file.read(RECORD.size).hex()
        now = {"begin": one.begin, "end": one.end, "why": one.why, "first_bytes": first}
        known = [*(other for other in known if other["begin"] != one.begin), now]
    replace_text(beside, json.dumps(known, indent=1) + "\n")
    for one in skipped:
        file.seek(one.begin)
        is_mark = one.begin == 0  # of the format, at the beginning of every file
        cover = RECORD.pack(COVER, one.end - one.begin - RECORD.size) if not is_mark else MAGIC
        file.write(cover)
    sync_file(file)


def _finish(file: IO[bytes], found: _Found) -> None:
    """Write what a writer writes when it finishes, to the end of the file."""
    from mcap.data_stream import RecordBuilder
    from mcap.records import DataEnd, MessageIndex

    records, last = RecordBuilder(), len(found.chunks) - 1
    if last in found.bare:  # cut off behind the chunk, before all was said of it
        index = found.chunks[last]
        if not any(one.begin > index.chunk_start_offset for one in _damaged(found)):
            file.truncate(index.chunk_start_offset + index.chunk_length)
            index.message_index_offsets = {}
    begin = file.seek(0, 2)
    for number in sorted(found.bare, reverse=True):  # that of the last one follows it
        for channel, entries in found.bare[number].items():
            found.chunks[number].message_index_offsets[channel] = begin + records.count
            MessageIndex(channel, entries).write(records)
        if number == last:
            found.chunks[number].message_index_length = records.count
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
