"""Messages of joints and objects straight from and to their bytes, for the control thread.

Taking a ROS message apart in Python, or building one, costs more than all the arithmetic of a
control tick. From one message of a stream to the next, though, nothing changes but numbers and a
stamp: where these stand in the bytes is found once, and only they are read or written from then on.
A message that is laid out in another way than the one before is taken apart by ROS.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import numpy as np
from geometry_msgs.msg import PoseArray
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory

from vdd_ros.bag import STAMP_END
from vdd_ros.contract import Contract
from vdd_ros.contract_parts import Stream
from vdd_ros.errors import UserError
from vdd_ros.nodes.messages import (
    NS_PER_S,
    command_message,
    fields_of,
    message_class,
    places_of,
    require_stamp,
    sample_stamp_ns,
)
from vdd_ros.poses import fields_of_poses

STAMP = struct.Struct("<iI")  # seconds and nanoseconds
LITTLE_ENDIAN = b"\x00\x01"  # how such a message begins
LARGEST_BYTES = 1 << 20  # of a message; a larger one would hold up the control thread
STAMP_AT = 4  # bytes; a header comes first, after four bytes of encapsulation


class Layout(NamedTuple):
    """Where numbers stand in a message of `size` bytes, if these are the same in it.

    same: (begin, bytes) of all that says how the message is laid out; blocks: by field, where its
    numbers begin, how many they are, and the places (Da,) of the contract's joints among them.
    """

    size: int
    same: tuple[tuple[int, bytes], ...]
    blocks: dict[str, tuple[int, int, Any]]

    def fits(self, data: bytes) -> bool:
        """Whether a message is laid out like this."""
        return len(data) == self.size and all(data.startswith(part, at) for at, part in self.same)


class Decoder:
    """Takes the messages of one stream apart."""

    def __init__(self, stream: Stream, contract: Contract):
        self._stream, self._contract = stream, contract
        self._correction = contract.correction_of(stream)
        self._kind = message_class(stream.type)
        self._layout: Layout | None = None

    def decode(self, data: bytes, received_ns: int) -> tuple[dict[str, np.ndarray], int]:
        """Fields, as `fields_of` gives them, and stamp [ns], as `sample_stamp_ns` does; raises
        UserError as these do, and for bytes that are no such message."""
        if self._layout is None or not self._layout.fits(data):
            return self._take_apart(data, received_ns)
        stamp_ns = received_ns
        if self._stream.timeline == "header":
            seconds, nanoseconds = STAMP.unpack_from(data, STAMP_AT)
            stamp_ns = require_stamp(self._stream, seconds * NS_PER_S + nanoseconds)
        numbers = {
            field: np.frombuffer(data, "<f8", count, begin)[places]
            for field, (begin, count, places) in self._layout.blocks.items()
        }
        if self._stream.is_of_objects:
            return fields_of_poses(numbers["poses"].reshape(-1, 7)), stamp_ns
        if self._correction is not None:
            numbers = self._correction.fields(numbers)
        return numbers, stamp_ns

    def _take_apart(self, data: bytes, received_ns: int) -> tuple[dict[str, np.ndarray], int]:
        if len(data) > LARGEST_BYTES:
            raise UserError(
                f"a message on {self._stream.topic} has {len(data)} bytes, at most {LARGEST_BYTES} "
                "are read"
            )
        try:
            message = deserialize_message(data, self._kind)
        except (RuntimeError, ValueError) as error:  # of the middleware, and of text
            raise UserError(
                f"a message on {self._stream.topic} is broken ({error}): correct its publisher"
            ) from None
        fields = fields_of(message, self._contract, self._stream)
        stamp_ns = sample_stamp_ns(self._stream, message, received_ns)
        is_little = data[:2] == LITTLE_ENDIAN
        self._layout = layout_of(data, message, self._contract) if is_little else None
        return fields, stamp_ns


class Encoder:
    """Makes the messages of joint targets of one stream, all in one and the same buffer."""

    def __init__(self, stream: Stream, contract: Contract):
        marks = _marks(2 * contract.n_joints).reshape(2, -1)
        self._correction = contract.correction_of(stream)
        bare = contract.model_copy(update={"encoders": {}})  # marks are looked for as they are
        made = command_message(stream, bare, marks[0], 1, marks[1])
        self._buffer = bytearray(serialize_message(made))
        self._position = self._numbers(marks[0])
        self._velocity = self._numbers(marks[1]) if isinstance(made, JointTrajectory) else None
        self._has_stamp = stream.has_header
        self._period_s = contract.control_period_ns * 1e-9

    def encode(self, position: np.ndarray, stamp_ns: int, move: np.ndarray | None = None) -> bytes:
        """The message of `command_message`, serialised. move: (Da,) from the command before, which
        was due one control period before [unit]; a trajectory tells it as its velocity."""
        if self._correction is not None:
            position = self._correction.encoders(position)
            move = None if move is None else self._correction.sign * move
        self._position[:] = position
        if self._velocity is not None:
            self._velocity[:] = 0.0 if move is None else move / self._period_s
        if self._has_stamp:
            STAMP.pack_into(self._buffer, STAMP_AT, *divmod(stamp_ns, NS_PER_S))
        return bytes(self._buffer)

    def _numbers(self, marks: np.ndarray) -> np.ndarray:
        """(Da,) view of the buffer where the marks stand."""
        begin = self._buffer.index(marks.tobytes())
        return np.frombuffer(self._buffer, "<f8", marks.size, begin)


def layout_of(data: bytes, message: Any, contract: Contract) -> Layout | None:
    """The layout of a message that came as `data`; None for a type that is always taken apart.

    As CDR has it: every number stands at a multiple of its size after the encapsulation, and what
    is left free before it may hold anything.
    """
    walk = _Walk(data)
    if isinstance(message, PoseArray):
        walk.string(message.header.frame_id)
        walk.block("poses", 7 * len(message.poses), slice(None))
        return walk.layout()
    if isinstance(message, JointState):
        places = places_of(tuple(message.name), contract.joint_names)
        walk.string(message.header.frame_id)
        walk.count()
        for name in message.name:
            walk.string(name)
        walk.block("position", len(message.position), places)
        walk.block("velocity", len(message.velocity), places)
        walk.count()  # of the efforts
        return walk.layout()
    return None


class _Walk:
    """Goes through a message after its stamp, and notes what has to be the same in another."""

    def __init__(self, data: bytes):
        self._data, self._at = data, STAMP_END
        self._same = [(0, data[:STAMP_AT])]
        self._blocks: dict[str, tuple[int, int, Any]] = {}

    def count(self) -> None:
        self._note(4)

    def string(self, text: str) -> None:
        self._note(4 + len(text.encode()) + 1)

    def block(self, field: str, count: int, places: Any) -> None:
        self.count()
        if count:
            self._align(8)
            self._blocks[field] = (self._at, count, places)
            self._at += 8 * count

    def layout(self) -> Layout:
        return Layout(len(self._data), tuple(self._same), self._blocks)

    def _note(self, size: int) -> None:
        self._align(4)
        self._same.append((self._at, self._data[self._at : self._at + size]))
        self._at += size

    def _align(self, size: int) -> None:
        self._at += -(self._at - STAMP_AT) % size


def _marks(count: int) -> np.ndarray:
    """(count,) numbers that stand nowhere else in a message."""
    return np.arange(count) + 0.123456789
