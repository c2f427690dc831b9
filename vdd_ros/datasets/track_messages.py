"""Messages of a foreign recording as messages of the contract's streams."""

from __future__ import annotations

import numpy as np

from vdd_ros.bag import RawMessage
from vdd_ros.cdr import NOTHING, joints_cdr
from vdd_ros.contract import Contract
from vdd_ros.contract_parts import Stream
from vdd_ros.datasets.formats import Rosbag2Format, TopicColumns
from vdd_ros.datasets.recording import Recording, Track
from vdd_ros.datasets.source import Column, Source
from vdd_ros.errors import UserError


def messages_of(
    recording: Recording, source: Source, contract: Contract
) -> tuple[RawMessage, ...] | None:
    """All messages, in the order in which they were received; None where a recording is one of
    frames. Messages that say what the contract would have them say stay byte for byte; all others
    are written anew, with the positions and velocities of the contract's joints."""
    if recording.tracks is None or not isinstance(source.format, Rosbag2Format):
        return None
    tracks, layout, channels = recording.tracks, source.format, source.in_order_of(contract)
    for stream, topic in layout.as_is.items():
        if stream not in contract.streams or stream in ("joint_state", contract.action.stream):
            free = sorted(set(contract.streams) - {"joint_state", contract.action.stream})
            raise UserError(
                f"as_is takes topic {topic!r} for stream {stream!r}, but in {contract.name} it may "
                f"be for {', '.join(free)}: correct the declaration"
            )
    states = [channel.state for channel in channels]
    commands = [channel.command for channel in channels]
    messages = [
        *_rewritten("joint_state", contract, layout.state, states, tracks.state),
        *_rewritten(contract.action.stream, contract, layout.command, commands, tracks.command),
        *tracks.others,
    ]
    return tuple(sorted(messages, key=lambda message: message.received_ns))


def _rewritten(
    name: str, contract: Contract, topic: TopicColumns, columns: list[Column], track: Track
) -> list[RawMessage]:
    stream = contract.streams[name]
    if _says_the_same(stream, contract, topic, columns, track):
        received = [*track.received_ns.tolist(), *(at for at, _ in track.incomplete)]
        data = [*track.data, *(one for _, one in track.incomplete)]
        return [RawMessage(name, one, at, at) for one, at in zip(data, received, strict=True)]
    # a stream without stamps is stamped by its receipt
    received_ns = track.stamps_ns if stream.timeline == "receive" else track.received_ns
    position = np.stack([one.convert(track.columns[one.name]) for one in columns], axis=-1)
    velocity = np.stack([one.slope * track.velocity[one.name] for one in columns], axis=-1)
    return [
        RawMessage(
            name,
            joints_cdr(
                stream, contract, where, stamp, speed if np.isfinite(speed).all() else NOTHING
            ),
            received,
            stamp,
        )
        for where, speed, received, stamp in zip(
            position, velocity, received_ns.tolist(), track.stamps_ns.tolist(), strict=True
        )
    ]


def _says_the_same(
    stream: Stream, contract: Contract, topic: TopicColumns, columns: list[Column], track: Track
) -> bool:
    names = tuple(column.name for column in columns)
    if track.type != stream.type or topic.time != stream.timeline:
        return False
    if contract.correction_of(stream) is not None:
        return False  # what is declared are joints, and the robot's encoders count otherwise
    if names != contract.joint_names or not all(column.is_of_the_joint for column in columns):
        return False
    return stream.has_header or topic.names == names  # without names, order is all
