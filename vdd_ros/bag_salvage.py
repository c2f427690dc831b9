"""Salvage: the messages of a recording of joints, also those behind damage."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import replace
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import NamedTuple

from vdd_ros.bag import CONTRACT_ATTACHMENT, RawMessage, raw_message, registered
from vdd_ros.bag_walk import ENDS_EARLY, Piece, Skipped, told, walk
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.mcap_records import ALWAYS_BYTES, LARGEST_GROWTH, records_in


class Salvaged(NamedTuple):
    """contract: None where it cannot be read, and then there are no messages; skipped: what of the
    file is damaged, in order."""

    contract: Contract | None
    messages: list[RawMessage]
    skipped: list[Skipped]

    @property
    def damage(self) -> str | None:
        """What is wrong with it, as a clause; None where it is whole."""
        return told(self.skipped)

    @property
    def is_damaged(self) -> bool:
        """Whether there is more wrong with it than that it ends early."""
        return any(not one.is_ending for one in self.skipped)


def salvage(path: Path) -> Salvaged:
    """All messages of a file that are as they were written, whatever lies between them."""
    found = Salvaged(None, [], [])
    size = path.stat().st_size
    if size == 0:  # nothing can be mapped
        return found._replace(skipped=[Skipped(0, 0, ENDS_EARLY)])
    streams: dict[int, str] = {}  # by number of a channel
    topics: dict[str, str] = {}  # and by topic
    left = max(ALWAYS_BYTES, LARGEST_GROWTH * size)
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        for one in walk(data):
            if isinstance(one, Skipped):
                found.skipped.append(one)
                continue
            try:
                if (contract := _contract_in(one, path)) is not None:
                    found = found._replace(contract=contract)
                    topics = {stream.recorded_topic: n for n, stream in contract.streams.items()}
                    # as they are numbered: the chunk that says so may be the damaged one
                    streams = {channel.id: n for n, _, channel in registered(contract.streams)}
                left -= len(one.content)
                if left < 0:
                    raise ValueError("it uncompresses to more than a recording of its size can be")
                found.messages.extend(list(_messages_in(one, streams, topics)))
            except (ValueError, RecursionError, UserError, struct.error) as error:
                found.skipped.append(Skipped(one.begin, one.end, str(error)))
    return found


def _contract_in(piece: Piece, path: Path) -> Contract | None:
    from mcap.records import Attachment

    record = piece.record
    if not isinstance(record, Attachment) or record.name != CONTRACT_ATTACHMENT:
        return None
    return Contract.from_dict(json.loads(record.data), where=f"contract in {path}")


def _messages_in(
    piece: Piece, streams: dict[int, str], topics: Mapping[str, str]
) -> Iterator[RawMessage]:
    """Of a chunk; raises ValueError where it holds what is not written here."""
    from mcap.records import Channel, Chunk, Message

    if not isinstance(piece.record, Chunk):
        return
    for record in records_in(replace(piece.record, compression="", data=piece.content)):
        if isinstance(record, Channel) and record.topic in topics:
            streams[record.id] = topics[record.topic]
        if isinstance(record, Message) and record.channel_id in streams:
            yield raw_message(streams[record.channel_id], record)
