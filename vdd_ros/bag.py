"""Bag: raw messages in an MCAP file that rosbag2, rosbags and every MCAP viewer open.

Messages are stored as the bytes that came over the wire; log_time is when they were received,
publish_time when they were stamped. The contract is inside the file, before the first message.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import yaml

from vdd_ros.contract import Contract
from vdd_ros.contract_parts import Stream
from vdd_ros.durable import sync_file, write_text
from vdd_ros.errors import UserError
from vdd_ros.mcap_records import records

# A process that is killed loses the chunk it was filling: a third of a second at usual rates, half
# a second of slow streams, and what came before a pause until `flush`.
CHUNK_BYTES = 32 * 1024
CHUNK_NS = 500_000_000
CONTRACT_ATTACHMENT = "contract.json"
LARGEST_NS = 2**62  # in numpy times are signed; nobody records in the year 2116
# The layout that every rosbag2 from Humble on reads.
ROSBAG2_VERSION = 5


class Topic(NamedTuple):
    """A topic beside the contract's streams that goes into a bag."""

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


def header_stamp_ns(data: bytes) -> int:
    """The header stamp of a CDR message whose first field is a std_msgs/Header."""
    order = "<" if data[1] else ">"
    seconds, nanoseconds = struct.unpack_from(f"{order}iI", data, 4)
    return seconds * 1_000_000_000 + nanoseconds


class BagWriter:
    """Writes `<folder>/<name>_0.mcap` as messages come, and `metadata.yaml` when closed.

    others: topics beside the contract's streams, by a name that none of those has.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        contract: Contract,
        others: Mapping[str, Topic] | None = None,
    ):
        from mcap.writer import Writer

        self.path = folder / f"{name}_0.mcap"
        self._topics: dict[str, Stream | Topic] = {**contract.streams, **(others or {})}
        self.counts = dict.fromkeys(self._topics, 0)
        self._received_ns: tuple[int, int] | None = None  # first and last
        self._chunk_ns: int | None = None  # when the chunk that is being filled began
        self._file = self.path.open("wb")
        self._writer = Writer(self._file, chunk_size=CHUNK_BYTES, enable_data_crcs=True)
        self._writer.start(profile="ros2", library="vdd_ros")
        self._writer.add_attachment(
            0, 0, CONTRACT_ATTACHMENT, "application/json", json.dumps(contract.to_dict()).encode()
        )
        self._channels = {name: self._register(topic) for name, topic in self._topics.items()}
        self._file.flush()

    def _register(self, stream: Stream | Topic) -> int:
        definition, _ = typestore().generate_msgdef(stream.type, ros_version=2)
        schema = self._writer.register_schema(stream.type, "ros2msg", definition.encode())
        return self._writer.register_channel(
            stream.recorded_topic, "cdr", schema, {"offered_qos_profiles": _qos_text(stream)}
        )

    def write(self, stream: str, data: bytes, received_ns: int) -> None:
        """Append one message; raises OSError when the disk does not take it."""
        has_header = self._topics[stream].has_header
        published_ns = header_stamp_ns(data) if has_header else received_ns
        # MCAP times are unsigned
        self._writer.add_message(
            self._channels[stream], max(0, received_ns), data, max(0, published_ns)
        )
        if self._chunk_ns is None or abs(received_ns - self._chunk_ns) >= CHUNK_NS:
            self.flush()
            self._chunk_ns = received_ns
        self._file.flush()
        first, last = self._received_ns or (received_ns, received_ns)
        self._received_ns = min(first, received_ns), max(last, received_ns)
        self.counts[stream] += 1

    def flush(self) -> None:
        """Bring all messages so far to the file; raises OSError when the disk does not take it."""
        self._writer.flush()
        self._file.flush()

    def close(self) -> None:
        """Finish the file and describe it for rosbag2; both are on the disk on return."""
        self._writer.finish()
        sync_file(self._file)
        self._file.close()
        write_text(self.path.with_name("metadata.yaml"), yaml.safe_dump(self._metadata()))

    def abort(self) -> None:
        """Let go of the file without finishing it, whatever state it is in."""
        with suppress(OSError):  # a full disk refuses the last bytes again
            self._file.close()

    def _metadata(self) -> dict:
        topics = [
            {
                "topic_metadata": {
                    "name": stream.recorded_topic,
                    "type": stream.type,
                    "serialization_format": "cdr",
                    "offered_qos_profiles": _qos_text(stream),
                },
                "message_count": self.counts[name],
            }
            for name, stream in self._topics.items()
        ]
        information = {
            "version": ROSBAG2_VERSION,
            "storage_identifier": "mcap",
            **self._extent(),
            "topics_with_message_count": topics,
            "compression_format": "",
            "compression_mode": "",
            "relative_file_paths": [self.path.name],
            "files": [{"path": self.path.name, **self._extent()}],
        }
        return {"rosbag2_bagfile_information": information}

    def _extent(self) -> dict:
        first, last = self._received_ns or (0, 0)
        return {
            "starting_time": {"nanoseconds_since_epoch": first},
            "duration": {"nanoseconds": last - first},
            "message_count": sum(self.counts.values()),
        }


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
                    messages.append(_message(stream, record))
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
        return BagContents(contract, messages, "it ends within a record")
    except (McapError, ZstdError, ValueError, RecursionError, UserError) as error:
        return BagContents(contract, messages, str(error))
    return BagContents(contract, messages, None)


def _message(stream: str, record) -> RawMessage:
    if max(record.log_time, record.publish_time) > LARGEST_NS:
        raise ValueError(f"a message of {stream} is from the year 2116 or later")
    return RawMessage(stream, record.data, record.log_time, record.publish_time)


def _require_of(stream: Stream, channel, schema) -> None:
    """Raise ValueError where a channel does not hold what its topic's stream is made of; one that
    says that it has no schema (0) may hold that."""
    if channel.message_encoding == "cdr" and channel.schema_id == 0:
        return
    found = (channel.message_encoding, None if schema is None else schema.name)
    if found != ("cdr", stream.type):
        raise ValueError(
            f"{channel.topic} holds {found[1]} as {found[0]}, not {stream.type} as cdr"
        )


def _qos_text(stream: Stream | Topic) -> str:
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
