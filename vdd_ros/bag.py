"""Bag: raw messages in an MCAP file that rosbag2, rosbags and every MCAP viewer open.

Messages are stored as the bytes that came over the wire; log_time is when they were received,
publish_time when they were stamped. The contract is inside the file, before the first message.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import yaml

from vdd_ros.bag_walk import ENDS_EARLY
from vdd_ros.contract import Contract
from vdd_ros.durable import write_text
from vdd_ros.errors import UserError
from vdd_ros.mcap_records import records

if TYPE_CHECKING:
    from mcap.records import Channel, Schema

# A process that is killed loses the chunk it was filling: half a second at most, and what came
# before a pause until `flush`.
CHUNK_NS = 500_000_000
NEVER_NS = 1 << 63
CONTRACT_ATTACHMENT = "contract.json"
STAMP_END = 12  # bytes: of the encapsulation and the first field of a header
PADDED, PADDING = ("trajectory_msgs/msg/JointTrajectory",), 8
LARGEST_NS = 2**62  # in numpy times are signed; nobody records in the year 2116
# The layout that every rosbag2 from Humble on reads.
ROSBAG2_VERSION = 5


class BagForm(NamedTuple):
    """How a bag is cut and packed: chunks of so many bytes, each with a checksum.

    compression: none, lz4 or zstd; checks_whole: another checksum of all, indices too, for which
    every byte is read once more.
    """

    chunk_bytes: int
    compression: str
    checks_whole: bool = False


# a third of a second of joints at usual rates
OF_STREAMS = BagForm(32 * 1024, "zstd", checks_whole=True)


class Recorded(Protocol):
    """What a bag has to know of a topic: streams and cameras of a contract are such, and Topic."""

    @property
    def topic(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def recorded_topic(self) -> str: ...
    @property
    def has_header(self) -> bool: ...
    @property
    def depth(self) -> int: ...
    @property
    def reliability(self) -> str: ...


class Topic(NamedTuple):
    """A topic beside those of the contract that goes into a bag."""

    topic: str
    type: str
    has_header: bool
    depth: int = 10
    reliability: str = "reliable"

    @property
    def recorded_topic(self) -> str:
        return f"/{self.topic.lstrip('/')}"


class RawMessage(NamedTuple):
    """data: CDR with its 4-byte encapsulation header; both times in ns of the ROS clock."""

    stream: str
    data: bytes
    received_ns: int
    published_ns: int


@lru_cache(maxsize=1)
def typestore():
    """The message definitions of ROS 2; those used here are the same in every distribution."""
    from rosbags.typesys import Stores, get_typestore

    return get_typestore(Stores.ROS2_HUMBLE)


def load_formats() -> None:
    """Load what a recording is written with, ahead of its first moment: it takes half a second, in
    which nothing would be received."""
    import mcap.writer  # noqa: F401

    typestore()


def deserialized(data: bytes, kind: str):
    """The message of a type in `data`; raises SerdeError where it is none.

    Fast DDS, of messages with several sequences inside, sends up to PADDING bytes more than they
    need, which rosbags takes for a message of another type.
    """
    from rosbags.serde import SerdeError

    store = typestore()
    try:
        return store.deserialize_cdr(data, kind)
    except SerdeError:
        if kind not in PADDED:
            raise
    definition = store.get_msgdef(kind)
    read = definition.deserialize_cdr_le if data[1] else definition.deserialize_cdr_be
    try:
        message, end = read(data[4:], 0, definition.cls, store)
    except (struct.error, ValueError) as error:
        raise SerdeError(f"no {kind}: {error}") from None
    if len(data) - 4 - end > PADDING:
        raise SerdeError(f"{len(data) - 4 - end} bytes are left over of a {kind}")
    return message


def header_stamp_ns(data: bytes) -> int:
    """The header stamp of a CDR message whose first field is a std_msgs/Header."""
    order = "<" if data[1] else ">"
    seconds, nanoseconds = struct.unpack_from(f"{order}iI", data, 4)
    return seconds * 1_000_000_000 + nanoseconds


class BagWriter:
    """Writes `<folder>/<name>_0.mcap` as messages come, and `metadata.yaml` when closed.

    others: topics beside the contract's streams, by a name that none of those has; topics: all that
    there are, instead of the contract's streams.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        contract: Contract,
        others: Mapping[str, Topic] | None = None,
        topics: Mapping[str, Recorded] | None = None,
        form: BagForm = OF_STREAMS,
    ):
        from mcap.writer import CompressionType, Writer

        self.path = folder / f"{name}_0.mcap"
        own = contract.streams if topics is None else topics
        self._topics: dict[str, Recorded] = {**own, **(others or {})}
        self.counts = dict.fromkeys(self._topics, 0)
        self._first_ns, self._last_ns = NEVER_NS, 0  # receipt
        self._chunk_ns = NEVER_NS  # when the chunk that is being filled began
        self._file = _Unbuffered(self.path)
        self._writer = Writer(
            self._file,  # type: ignore[arg-type]  # it needs no more than write, tell and flush
            chunk_size=form.chunk_bytes,
            compression=CompressionType[form.compression.upper()],
            enable_data_crcs=form.checks_whole,
        )
        self._writer.start(profile="ros2", library="vdd_ros")
        self._writer.add_attachment(
            0, 0, CONTRACT_ATTACHMENT, "application/json", json.dumps(contract.to_dict()).encode()
        )
        # all that is asked of a topic for each message
        self._channels = {
            name: (self._register(topic), topic.has_header) for name, topic in self._topics.items()
        }

    def _register(self, topic: Recorded) -> int:
        schema = self._writer.register_schema(topic.type, "ros2msg", _definition(topic))
        return self._writer.register_channel(topic.recorded_topic, "cdr", schema, _about(topic))

    def write(self, stream: str, data: bytes, received_ns: int) -> None:
        """Append one message; raises OSError when the disk does not take it."""
        channel, has_header = self._channels[stream]
        has_stamp = has_header and len(data) >= STAMP_END  # a broken message is kept as it came
        published_ns = header_stamp_ns(data) if has_stamp else received_ns
        if received_ns < 0 or published_ns < 0:  # MCAP times are unsigned
            received_ns, published_ns = max(0, received_ns), max(0, published_ns)
        self._writer.add_message(channel, received_ns, data, published_ns)
        if not -CHUNK_NS < received_ns - self._chunk_ns < CHUNK_NS:
            self.flush()
            self._chunk_ns = received_ns
        if received_ns > self._last_ns:
            self._last_ns = received_ns
        if received_ns < self._first_ns:
            self._first_ns = received_ns
        self.counts[stream] += 1

    def flush(self) -> None:
        """Bring all messages so far to the file; raises OSError when the disk does not take it."""
        self._writer.flush()

    def sync(self) -> None:
        """Bring all messages so far to the disk."""
        self.flush()
        self._file.sync()

    def close(self) -> None:
        """Finish the file and describe it for rosbag2; both are on the disk on return."""
        self._writer.finish()
        self._file.sync()
        self._file.close()
        received_ns = min(self._first_ns, self._last_ns), self._last_ns  # 0 where nothing came
        describe(self.path, self._topics, self.counts, received_ns)

    def abort(self) -> None:
        """Let go of the file without finishing it, whatever state it is in."""
        self._file.close()


def registered(topics: Mapping[str, Recorded]) -> Iterator[tuple[str, Schema, Channel]]:
    """What the beginning of a bag of these topics says of each, as it was numbered."""
    from mcap.records import Channel, Schema

    for number, (name, topic) in enumerate(topics.items(), 1):
        schema = Schema(id=number, name=topic.type, encoding="ros2msg", data=_definition(topic))
        channel = Channel(
            id=number,
            topic=topic.recorded_topic,
            message_encoding="cdr",
            metadata=_about(topic),
            schema_id=number,
        )
        yield name, schema, channel


def _definition(topic: Recorded) -> bytes:
    return typestore().generate_msgdef(topic.type, ros_version=2)[0].encode()


def _about(topic: Recorded) -> dict[str, str]:
    return {"offered_qos_profiles": _qos_text(topic)}


class _Unbuffered:
    """A file whose every byte is with the kernel on return. The writer hands over whole chunks, so
    that a buffer would be one more copy, and one more thing to empty after each message."""

    def __init__(self, path: Path):
        self._file = path.open("wb", buffering=0)
        self._size = 0

    def write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            written = self._file.write(left) or 0
            self._size += written
            left = left[written:]

    def tell(self) -> int:
        return self._size

    def flush(self) -> None:
        """Nothing waits."""

    def sync(self) -> None:
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def describe(
    path: Path,
    topics: Mapping[str, Recorded],
    counts: Mapping[str, int],
    received_ns: tuple[int, int],
) -> None:
    """Write `metadata.yaml` beside an MCAP file, on the disk on return; received_ns: when the first
    message came, and the last."""
    first, last = received_ns
    extent = {
        "starting_time": {"nanoseconds_since_epoch": first},
        "duration": {"nanoseconds": last - first},
        "message_count": sum(counts.values()),
    }
    listed = [
        {
            "topic_metadata": {
                "name": topic.recorded_topic,
                "type": topic.type,
                "serialization_format": "cdr",
                "offered_qos_profiles": _qos_text(topic),
            },
            "message_count": counts[name],
        }
        for name, topic in topics.items()
    ]
    information = {
        "version": ROSBAG2_VERSION,
        "storage_identifier": "mcap",
        **extent,
        "topics_with_message_count": listed,
        "compression_format": "",
        "compression_mode": "",
        "relative_file_paths": [path.name],
        "files": [{"path": path.name, **extent}],
    }
    text = yaml.safe_dump({"rosbag2_bagfile_information": information})
    write_text(path.with_name("metadata.yaml"), text)


class BagContents(NamedTuple):
    """contract: None where the file ends before it; damage: why reading stopped, or None."""

    contract: Contract | None
    messages: list[RawMessage]
    damage: str | None


def read_bag(path: Path) -> BagContents:
    """Read a file from its beginning as far as it is readable, in the order it was written."""
    from mcap.exceptions import EndOfFile, McapError
    from mcap.records import Attachment, Channel, Message, Schema
    from zstandard import ZstdError

    contract, streams, schemas, channels, messages = None, {}, {}, {}, []
    try:
        for record in records(path):
            if isinstance(record, Message):
                if (stream := channels.get(record.channel_id)) is not None:
                    messages.append(raw_message(stream, record))
            elif isinstance(record, Schema):
                schemas[record.id] = record
            elif isinstance(record, Channel):
                if record.topic in streams:
                    name, stream = streams[record.topic]
                    _require_of(stream, record, schemas.get(record.schema_id))
                    channels[record.id] = name
            elif isinstance(record, Attachment) and record.name == CONTRACT_ATTACHMENT:
                contract = Contract.from_dict(json.loads(record.data), where=f"contract in {path}")
                streams = {
                    one.recorded_topic: (name, one) for name, one in contract.streams.items()
                }
    except (EndOfFile, struct.error):
        return BagContents(contract, messages, ENDS_EARLY)
    except (McapError, ZstdError, ValueError, RecursionError, UserError) as error:
        return BagContents(contract, messages, str(error))
    return BagContents(contract, messages, None)


def raw_message(stream: str, record) -> RawMessage:
    """A message of an MCAP file; raises ValueError where its time cannot be one."""
    if max(record.log_time, record.publish_time) > LARGEST_NS:
        raise ValueError(f"a message of {stream} is from the year 2116 or later")
    return RawMessage(stream, record.data, record.log_time, record.publish_time)


def _require_of(stream: Recorded, channel, schema) -> None:
    """Raise ValueError where a channel does not hold what its topic's stream is made of; one that
    says that it has no schema (0) may hold that."""
    if channel.message_encoding == "cdr" and channel.schema_id == 0:
        return
    found = (channel.message_encoding, None if schema is None else schema.name)
    if found != ("cdr", stream.type):
        raise ValueError(
            f"{channel.topic} holds {found[1]} as {found[0]}, not {stream.type} as cdr"
        )


def _qos_text(stream: Recorded) -> str:
    """The stream's QoS in rosbag2's own form, so that playing a bag offers what was recorded."""
    forever = {"sec": 9223372036, "nsec": 854775807}
    profile = {
        "history": 1,  # keep last
        "depth": stream.depth,
        "reliability": {"reliable": 1, "best_effort": 2}[stream.reliability],
        "durability": 2,  # volatile
        "deadline": dict(forever),
        "lifespan": dict(forever),
        "liveliness": 1,  # automatic
        "liveliness_lease_duration": dict(forever),
        "avoid_ros_namespace_conventions": False,
    }
    return yaml.safe_dump([profile], sort_keys=False)
