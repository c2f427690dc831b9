"""Damage within an MCAP file, record by record, with every hash outside of it made to agree.

What is found here is found by reading alone: a faulty program wrote the file, or somebody meant it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from vdd_ros.commands.bench.damage.kinds import Victim, family

MAGIC = b"\x89MCAP0\r\n"
HEADER, FOOTER, SCHEMA, CHANNEL, MESSAGE = 0x01, 0x02, 0x03, 0x04, 0x05
CHUNK, MESSAGE_INDEX, ATTACHMENT, STATISTICS, DATA_END = 0x06, 0x07, 0x09, 0x0B, 0x0F
LONG = 1 << 60
MEBIBYTE = 1 << 20


class Record(NamedTuple):
    opcode: int
    content: bytes


class Chunk(NamedTuple):
    """size, crc, compression: as the chunk says; data: as it is stored."""

    start: int
    end: int
    size: int
    crc: int
    compression: bytes
    data: bytes


def records_of(data: bytes) -> Iterator[Record]:
    """The records of bytes that are nothing else."""
    place = 0
    while place < len(data):
        opcode, length = struct.unpack_from("<BQ", data, place)
        place += 9
        yield Record(opcode, data[place : place + length])
        place += length


def joined(records: list[Record]) -> bytes:
    """Bytes that are nothing but records."""
    return b"".join(
        struct.pack("<BQ", one.opcode, len(one.content)) + one.content for one in records
    )


def chunk_of(content: bytes) -> Chunk:
    """The fields of a chunk record; `packed` gives its content back."""
    start, end, size, crc, length = struct.unpack_from("<QQQII", content)
    compression = content[32 : 32 + length]
    return Chunk(start, end, size, crc, compression, content[32 + length + 8 :])


def packed(chunk: Chunk) -> bytes:
    """The content of a chunk record."""
    head = struct.pack("<QQQII", *chunk[:4], len(chunk.compression)) + chunk.compression
    return head + struct.pack("<Q", len(chunk.data)) + chunk.data


def unpacked(chunk: Chunk) -> list[Record]:
    """The records in a chunk as this recorder writes it."""
    import zstandard

    return list(records_of(zstandard.decompress(chunk.data, chunk.size)))


def stored(chunk: Chunk, records: list[Record]) -> Chunk:
    """A chunk of other records, with a checksum that is right."""
    data = joined(records)
    return chunk._replace(size=len(data), crc=zlib.crc32(data), compression=b"", data=data)


def rewritten(victim: Victim, change: Callable[[list[Record]], list[Record]]) -> None:
    """Change the data of the file; it has no checksums of its own and no index afterwards."""
    whole = list(records_of(victim.recording.read_bytes()[len(MAGIC) : -len(MAGIC)]))
    end = next(index for index, one in enumerate(whole) if one.opcode == DATA_END)
    data = change([one for one in whole[:end] if one.opcode != MESSAGE_INDEX])
    tail = [Record(DATA_END, bytes(4)), Record(FOOTER, bytes(20))]
    victim.recording.write_bytes(MAGIC + joined([*data, *tail]) + MAGIC)
    victim.rehash()


def in_chunks(victim: Victim, change: Callable[[Record], list[Record]]) -> None:
    """Replace every record inside of chunks."""

    def rechunked(records: list[Record]) -> list[Record]:
        return [
            Record(
                CHUNK,
                packed(stored(chunk, [new for old in unpacked(chunk) for new in change(old)])),
            )
            if one.opcode == CHUNK and (chunk := chunk_of(one.content))
            else one
            for one in records
        ]

    rewritten(victim, rechunked)


def first_chunk(victim: Victim, change: Callable[[Chunk], Chunk]) -> None:
    """Replace the first chunk."""

    def replaced(records: list[Record]) -> list[Record]:
        at = next(index for index, one in enumerate(records) if one.opcode == CHUNK)
        new = Record(CHUNK, packed(change(chunk_of(records[at].content))))
        return [*records[:at], new, *records[at + 1 :]]

    rewritten(victim, replaced)


def spoilt(victim: Victim, opcode: int) -> None:
    """Flip a bit of the first record of a kind, and leave the file's own checksums as they are."""
    data, place = bytearray(victim.recording.read_bytes()), len(MAGIC)
    while place < len(data) - len(MAGIC):
        found, length = struct.unpack_from("<BQ", data, place)
        if found == opcode:
            data[place + 9 + length // 2] ^= 1
            break
        place += 9 + length
    victim.recording.write_bytes(data)
    victim.rehash()


def cut(victim: Victim, opcode: int) -> None:
    """End the file before the first record of a kind."""
    data = victim.recording.read_bytes()
    kept = []
    for one in records_of(data[len(MAGIC) : -len(MAGIC)]):
        if one.opcode == opcode:
            break
        kept.append(one)
    victim.recording.write_bytes(MAGIC + joined(kept))
    victim.rehash()


def bytes_changed(victim: Victim, change: Callable[[bytes], bytes]) -> None:
    """Change the file as a whole."""
    victim.recording.write_bytes(change(victim.recording.read_bytes()))
    victim.rehash()


def text_changed(victim: Victim, opcode: int, old: bytes, new: bytes) -> None:
    """Words of the same length in records of a kind inside of chunks."""
    assert len(old) == len(new)
    in_chunks(
        victim,
        lambda one: (
            [one._replace(content=one.content.replace(old, new))] if one.opcode == opcode else [one]
        ),
    )


def attachment_changed(victim: Victim, old: bytes, new: bytes) -> None:
    """Words of the same length in the contract, whose checksum is left out."""

    def changed(one: Record) -> Record:
        if one.opcode != ATTACHMENT:
            return one
        return one._replace(content=one.content[:-4].replace(old, new, 1) + bytes(4))

    rewritten(victim, lambda records: [changed(one) for one in records])


def zeros(count: int) -> bytes:
    """So many zeros, compressed without ever being whole."""
    import zstandard

    packer = zstandard.ZstdCompressor(level=1).compressobj(size=count)
    block = bytes(MEBIBYTE)
    return b"".join(packer.compress(block) for _ in range(count // MEBIBYTE)) + packer.flush()


def bomb(victim: Victim, count: int, size: int) -> None:
    """A first chunk whose data unpack to `count` zeros, and which says `size`."""
    data = zeros(count)
    first_chunk(
        victim, lambda chunk: chunk._replace(size=size, crc=0, compression=b"zstd", data=data)
    )


def message_from(victim: Victim, channel: int | None = None, log_time: int | None = None) -> None:
    """Give every message another channel, or a time of receipt."""

    def changed(one: Record) -> list[Record]:
        if one.opcode != MESSAGE:
            return [one]
        content = bytearray(one.content)
        if channel is not None:
            struct.pack_into("<H", content, 0, channel)
        if log_time is not None:
            struct.pack_into("<Q", content, 6, log_time)
        return [one._replace(content=bytes(content))]

    in_chunks(victim, changed)


def only_every(victim: Victim, step: int) -> None:
    """Leave out, or (step 0) repeat messages."""
    count = 0

    def changed(one: Record) -> list[Record]:
        nonlocal count
        count += one.opcode == MESSAGE
        if one.opcode != MESSAGE:
            return [one]
        if step == 0:
            return [one, one]
        return [] if count % step == 0 else [one]

    in_chunks(victim, changed)


STATES, TYPE = b"/joint_states", b"sensor_msgs/msg/JointState"
BYTES = family("inside the MCAP", [
    ("magic", "the first bytes are those of another format", "BROKEN", "not a valid MCAP",
     lambda v: bytes_changed(v, lambda data: b"SQLite" + data[6:])),
    ("magic_at_end", "the last bytes are", "BROKEN", "not a valid MCAP",
     lambda v: bytes_changed(v, lambda data: data[:-6] + b"SQLite")),
    ("header", "a bit of the header", "BROKEN", "episode_0001_0.mcap is not readable",
     lambda v: spoilt(v, HEADER)),
    ("message_index", "a bit of an index", "BROKEN", "crc validation failed in DataEnd",
     lambda v: spoilt(v, MESSAGE_INDEX)),
    ("chunk", "a bit of compressed data", "BROKEN", "episode_0001_0.mcap is not readable",
     lambda v: spoilt(v, CHUNK)),
    ("attachment", "a bit of the contract", "BROKEN", "episode_0001",
     lambda v: spoilt(v, ATTACHMENT)),
    ("summary", "a bit of the statistics", "BROKEN", "its summary is damaged",
     lambda v: spoilt(v, STATISTICS)),
    ("no_footer", "it ends before its footer", "BROKEN", "ends within a record",
     lambda v: cut(v, FOOTER)),
    ("no_data", "it ends before its first chunk", "BROKEN", "ends within a record",
     lambda v: cut(v, CHUNK)),
    ("after_the_end", "something follows its end", "BROKEN", "its summary is damaged, or something",
     lambda v: bytes_changed(v, lambda data: data + MAGIC)),
    ("record_length", "a record that is longer than the file", "BROKEN", "exceeds limit",
     lambda v: bytes_changed(v, lambda d: d[:9] + struct.pack("<Q", LONG) + d[17:])),
    ("chunk_checksum", "a chunk's checksum is another", "BROKEN", "crc validation failed in Chunk",
     lambda v: first_chunk(v, lambda chunk: chunk._replace(crc=chunk.crc ^ 1))),
    ("compression", "a compression that nobody has", "BROKEN", "compressed by 'rar'",
     lambda v: first_chunk(v, lambda chunk: chunk._replace(compression=b"rar"))),
    ("chunk_size", "a chunk that says it is a tebibyte", "BROKEN", "would uncompress to",
     lambda v: first_chunk(v, lambda chunk: chunk._replace(size=1 << 40))),
    ("bomb", "a chunk of 300 MiB of zeros", "BROKEN", "would uncompress to",
     lambda v: bomb(v, 300 * MEBIBYTE, 300 * MEBIBYTE)),
    ("hidden_bomb", "the same, and it says 32 KiB", "BROKEN", "longer or shorter than it says",
     lambda v: bomb(v, 300 * MEBIBYTE, 32 << 10)),
    ("zeros_for_records", "a chunk of 20 MiB of zeros, millions of empty records", "BROKEN",
     "a record of kind 0", lambda v: bomb(v, 20 * MEBIBYTE, 20 * MEBIBYTE)),
    ("other_type", "a topic's type is another's", "BROKEN", "not sensor_msgs/msg/JointState",
     lambda v: text_changed(v, SCHEMA, TYPE, b"sensor_msgs/msg/BatteryOne")),
    ("other_encoding", "messages that say they are JSON", "BROKEN", "not sensor_msgs",
     lambda v: text_changed(v, CHANNEL, b"\3\0\0\0cdr", b"\3\0\0\0jsn")),
    ("no_schema", "no definitions of messages", "BROKEN", "holds None as cdr",
     lambda v: in_chunks(v, lambda one: [] if one.opcode == SCHEMA else [one])),
    ("other_topic", "joint states on a topic that no stream has", "BROKEN", "has 0 messages",
     lambda v: text_changed(v, CHANNEL, STATES, b"/joint_statez")),
    ("unknown_channel", "messages of a channel that is not declared", "BROKEN", "has 0 messages",
     lambda v: message_from(v, channel=999)),
    ("year_2554", "messages that were received in the year 2554", "BROKEN", "year 2116 or later",
     lambda v: message_from(v, log_time=2**64 - 1)),
    ("fewer_messages", "a tenth of the messages is left out", "BROKEN", "manifest.json says",
     lambda v: only_every(v, 10)),
    ("doubled_messages", "each message twice", "BROKEN", "manifest.json says",
     lambda v: only_every(v, 0)),
    ("other_contract", "another contract in the recording", "BROKEN", "is not the one in the",
     lambda v: attachment_changed(v, b"panda_rod_tip", b"panda_rod_top")),
    ("contract_no_json", "no JSON where the contract was", "BROKEN", "is not readable",
     lambda v: attachment_changed(v, b'{"format_version', b'["format_version')),
    ("no_contract", "no contract in the recording", "BROKEN", "is not the one in the recording",
     lambda v: rewritten(v, lambda rs: [one for one in rs if one.opcode != ATTACHMENT])),
])  # fmt: skip
