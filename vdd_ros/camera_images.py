"""CameraImages: the pictures of one camera of an episode, read when they are asked for."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from vdd_ros.bag_walk import MESSAGE, RECORD
from vdd_ros.contract import Contract
from vdd_ros.contract_cameras import Camera
from vdd_ros.errors import UserError
from vdd_ros.images import decode_image
from vdd_ros.mcap_records import LARGEST_CHUNK_BYTES, OF_LENGTHS, chunk_data

CAMERAS = "cameras"  # the folder in that of an episode
CHUNK_HEAD = 8 + 8 + 8 + 4 + 4 + 8  # of a chunk before its records, less the name of its packing


def camera_bag(folder: Path, name: str) -> Path:
    """The recording of the cameras of an episode, given the episode's folder."""
    return folder / CAMERAS / f"{name}_{CAMERAS}_0.mcap"


class Picture(NamedTuple):
    """pixels: (height, width, 3) uint8, red, green, blue; times [ns] of the ROS clock."""

    pixels: np.ndarray
    stamp_ns: int
    received_ns: int


class CameraImages:
    """Pictures by number, in the order in which they were received, or by time.

    Opening reads the table at the end of the file and a few bytes of each message. In memory is one
    picture at a time, and of files whose chunks are packed one chunk.

    stamps_ns, received_ns: (N,) int64, when each was taken, as its stamp says or, with `timeline:
    receive`, as it came, and when it came; taken_ns: (N,) when it was taken on the time of the
    joint states, as far as it was measured how late this camera's stamps are.
    """

    def __init__(self, path: Path, contract: Contract, name: str):
        """Raises UserError where there is no such camera, or the file is damaged."""
        if name not in contract.cameras:
            raise UserError(
                f"no camera {name!r} in {contract.name}: there are "
                f"{', '.join(contract.cameras) or 'none'}"
            )
        self.path, self.name = path, name
        self.camera: Camera = contract.cameras[name]
        self._loaded: tuple[int, bytes] = (-1, b"")  # a chunk and its records
        with _telling(path), path.open("rb") as file:
            summary = _summary_of(file)
            self._chunks = summary.chunk_indexes
            topics = {channel.topic: number for number, channel in summary.channels.items()}
            channel = topics.get(self.camera.recorded_topic)  # None: nothing ever came
            self._places = [
                (number, place)
                for number, chunk in enumerate(self._chunks)
                for place in _places_in(file, chunk, channel)
            ]
            times = [self._times(file, *place) for place in self._places]
            self.received_ns, published_ns = np.array(times, dtype=np.int64).reshape(-1, 2).T
        is_stamped = self.camera.timeline == "header"
        self.stamps_ns = published_ns if is_stamped else self.received_ns
        self.taken_ns = self.stamps_ns - contract.stamps_late_ns(name)

    def __len__(self) -> int:
        return len(self._places)

    def message(self, number: int) -> bytes:
        """A message as it came over the wire."""
        with _telling(self.path), self.path.open("rb") as file:
            chunk, place = self._places[number]
            _, length = RECORD.unpack(self._read(file, chunk, place, RECORD.size))
            size = length - MESSAGE.size
            return self._read(file, chunk, place + RECORD.size + MESSAGE.size, size)

    def picture(self, number: int) -> Picture:
        """Raises UserError where the message is no picture of this camera."""
        pixels = decode_image(self.camera, self.message(number))
        return Picture(pixels, int(self.stamps_ns[number]), int(self.received_ns[number]))

    def __getitem__(self, number: int) -> Picture:
        return self.picture(number)

    def __iter__(self) -> Iterator[Picture]:
        return (self.picture(number) for number in range(len(self)))

    def _times(self, file: IO[bytes], chunk: int, place: int) -> tuple[int, int]:
        head = self._read(file, chunk, place + RECORD.size, MESSAGE.size)
        _, _, received_ns, published_ns = MESSAGE.unpack(head)
        return received_ns, published_ns

    def _read(self, file: IO[bytes], number: int, place: int, size: int) -> bytes:
        """Bytes of the records of a chunk; raises ValueError where it has not so many."""
        chunk = self._chunks[number]
        most = min(chunk.uncompressed_size, LARGEST_CHUNK_BYTES)
        if not 0 <= place <= place + size <= most:
            raise ValueError("a message reaches beyond its chunk")
        if chunk.compression:
            if self._loaded[0] != number:
                self._loaded = number, chunk_data(_record_at(file, chunk.chunk_start_offset))
            return self._loaded[1][place : place + size]
        file.seek(chunk.chunk_start_offset + RECORD.size + CHUNK_HEAD + place)
        found = file.read(size)
        if len(found) < size:
            raise ValueError("it ends within a message")
        return found


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    """What is wrong with a file, as a UserError that names it."""
    from mcap.exceptions import McapError

    try:
        yield
    except FileNotFoundError:
        raise UserError(f"{path} is missing: restore it or delete the episode") from None
    except (McapError, ValueError, OSError, struct.error, *OF_LENGTHS) as error:
        told = str(error) or type(error).__name__
        raise UserError(
            f"{path} is not readable ({told}): restore it or delete the episode"
        ) from None


def _summary_of(file: IO[bytes]) -> Any:
    from mcap.reader import make_reader

    summary = make_reader(file).get_summary()
    if summary is None:
        raise ValueError("it has no ending")
    return summary


def _places_in(file: IO[bytes], chunk: Any, channel: int | None) -> list[int]:
    """Where a channel's messages are among the records of a chunk."""
    offset = chunk.message_index_offsets.get(channel)
    if offset is None:
        return []
    return [place for _, place in _record_at(file, offset).records]


def _record_at(file: IO[bytes], offset: int) -> Any:
    """A chunk or a message index at a place of the file; raises ValueError for anything else."""
    from mcap.data_stream import ReadDataStream
    from mcap.opcode import Opcode
    from mcap.records import Chunk, MessageIndex

    file.seek(offset)
    stream = ReadDataStream(file)
    opcode = stream.read1()
    stream.read8()
    if opcode == Opcode.CHUNK:
        return Chunk.read(stream)
    if opcode == Opcode.MESSAGE_INDEX:
        return MessageIndex.read(stream)
    raise ValueError(f"no chunk and no message index is at {offset}")
