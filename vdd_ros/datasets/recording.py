"""Recording: one foreign episode as it was read, in its own names and units."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, Protocol, TypeVar

import numpy as np
from pydantic import JsonValue

from vdd_ros.bag import RawMessage

Item = TypeVar("Item")


class FramePicture(NamedTuple):
    """What a camera showed at a frame. pixels: (height, width, 3) uint8; file: the JPEG or PNG that
    it was kept as, None where there is none."""

    pixels: np.ndarray
    file: bytes | None = None


class CameraFrames(Protocol):
    """Of one camera, a picture for each frame, read when it is asked for."""

    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...

    def require_whole(self) -> None:
        """Raise UserError for what can be seen to be wrong without decoding pictures."""
        ...

    def __iter__(self) -> Iterator[FramePicture]:
        """Raises UserError at a picture that cannot be decoded."""
        ...


@dataclass(frozen=True)
class Track:
    """M messages of one topic. type: of the message; stamps_ns, received_ns: (M,), ROS clock;
    columns, velocity: name -> (M,), in the file's units, NaN where no velocity was sent; data: the
    messages as they are; incomplete: when others were received, which lack a joint, and they."""

    type: str
    stamps_ns: np.ndarray
    received_ns: np.ndarray
    columns: dict[str, np.ndarray]
    velocity: dict[str, np.ndarray]
    data: tuple[bytes, ...]
    incomplete: tuple[tuple[int, bytes], ...] = ()


@dataclass(frozen=True)
class Tracks:
    """What a recording of messages holds beside its frames; others: streams of the contract, as
    they are."""

    state: Track
    command: Track
    others: tuple[RawMessage, ...] = ()


@dataclass(frozen=True)
class Recording:
    """N frames.

    name: what the dataset calls it; where: the file (and group) it is in, for people; times_s:
    (N,); state, command: column name -> (N,), in the file's units; velocity: of state columns that
    the file has a velocity of, (N,) per second; objects: stream -> (N, objects, 7) position [m] and
    quaternion x, y, z, w; tracks: where it is one of messages, which the frames then are no more
    than a view of, one at each command; notes: what the reader found worth saying; meta: goes into
    the episode; not_read: features, arrays or topics of the file that nobody declared; pictures: by
    camera of the contract.
    """

    name: str
    where: str
    times_s: np.ndarray
    state: dict[str, np.ndarray]
    command: dict[str, np.ndarray]
    velocity: dict[str, np.ndarray] = field(default_factory=dict)
    objects: dict[str, np.ndarray] = field(default_factory=dict)
    tracks: Tracks | None = None
    notes: tuple[str, ...] = ()
    meta: dict[str, JsonValue] = field(default_factory=dict)
    not_read: tuple[str, ...] = ()
    pictures: dict[str, CameraFrames] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.times_s)


class OneAtATime(Generic[Item]):
    """What is made anew, by its number, whenever it is asked for, so that one of them is in memory
    at a time."""

    def __init__(self, count: int, make: Callable[[int], Item]):
        self._count, self._make = count, make

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> Item:
        return self._make(number)

    def __iter__(self) -> Iterator[Item]:
        return map(self._make, range(self._count))


Recordings = Sequence[Recording] | OneAtATime[Recording]
