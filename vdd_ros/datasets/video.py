"""Video: the pictures of one episode in a video file, decoded one after the other.

A file of LeRobot v3.0 holds pictures of several episodes: which are whose is told by their times.
PyAV reads MP4 and nothing else, from a file that is open already, so that no file can name another.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vdd_ros.datasets.recording import FramePicture
from vdd_ros.errors import UserError

BESIDE = 0.25  # of a period: how far a picture may lie from its frame and still be nobody else's
OFF_RATE = 0.01  # share by which the rate may miss the declared one: that of the stamps is checked
THREADS = 2  # of a decoder; each keeps some pictures
MARGIN = 256  # pixels of rows and columns that codecs add to their blocks
POINTER = b"version https://git-lfs"


class Told(NamedTuple):
    """What a file says without being decoded. times_s: (N,) rising, of its pictures."""

    width: int
    height: int
    times_s: np.ndarray


@dataclass(frozen=True)
class Video:
    """The `count` pictures from `first_s` [s] on; is_alone: the file has no others. width, height:
    that the dataset says; rate_hz: of its frames."""

    path: Path
    width: int
    height: int
    rate_hz: float
    first_s: float
    count: int
    is_alone: bool

    def require_whole(self) -> None:
        """Raise UserError where the file has not one picture of the right size for each frame, as
        far as it says so; nothing is decoded."""
        told = _told(self.path)
        size = told.width, told.height
        if size != (self.width, self.height):
            raise self._wrong(
                f"its pictures are {size[0]}x{size[1]}, info.json says {self.width}x{self.height}"
            )
        if not len(told.times_s):
            raise self._wrong("it holds no picture")
        found_hz = _rate_of(told.times_s)
        if found_hz is not None and abs(found_hz / self.rate_hz - 1.0) > OFF_RATE:
            raise self._wrong(f"it has {found_hz:.4g} pictures a second, fps is {self.rate_hz:g}")
        wanted_s = self._wanted_s()
        first = (
            int(np.searchsorted(told.times_s, wanted_s[0] - self._beside_s)) if self.count else 0
        )
        there = len(told.times_s) - first
        if there < self.count or (self.is_alone and len(told.times_s) != self.count):
            raise self._wrong(
                f"it has {there} pictures from {self.first_s:.3f} s on, the episode {self.count} "
                "frames"
            )
        off_s = np.abs(told.times_s[first : first + self.count] - wanted_s)
        if (off_s > self._beside_s).any():
            at = int(np.flatnonzero(off_s > self._beside_s)[0])
            raise self._wrong(
                f"frame {at} is at {wanted_s[at]:.3f} s, the picture beside it at "
                f"{told.times_s[first + at]:.3f} s"
            )

    def __iter__(self) -> Iterator[FramePicture]:
        """A picture for each frame, a few in memory at a time; raises UserError at the first that
        cannot be decoded."""
        wanted_s, number = self._wanted_s(), 0
        with _opened(self.path, self.width * self.height) as (container, stream):
            if self.first_s > 0.0:
                start_s = max(0.0, self.first_s - self._beside_s)
                container.seek(int(start_s / stream.time_base), stream=stream)
            for frame in container.decode(stream):
                if number == self.count:
                    return
                time_s = float(frame.pts * stream.time_base)
                if time_s < wanted_s[number] - self._beside_s:
                    continue
                is_it = time_s <= wanted_s[number] + self._beside_s and not frame.is_corrupt
                if not is_it or (frame.width, frame.height) != (self.width, self.height):
                    break
                yield FramePicture(frame.to_ndarray(format="rgb24"))
                number += 1
        if number < self.count:
            raise self._wrong(f"the picture of frame {number} cannot be decoded")

    @property
    def _beside_s(self) -> float:
        return BESIDE / self.rate_hz

    def _wanted_s(self) -> np.ndarray:
        return self.first_s + np.arange(self.count) / self.rate_hz

    def _wrong(self, what: str) -> UserError:
        return UserError(f"{self.path}: {what}; restore the file")


def _told(path: Path) -> Told:
    try:
        found = path.stat()
    except OSError:
        raise UserError(
            f"{path} is missing; restore it, or declare no images to import without pictures"
        ) from None
    return _read(path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=8)  # a file of v3.0 is asked about for each of its episodes
def _read(path: Path, changed_ns: int, size: int) -> Told:
    with _opened(path) as (container, stream):
        # what is cut off is marked as such, or not there
        stamps = sorted(
            packet.pts
            for packet in container.demux(stream)
            if packet.pts is not None and not packet.is_corrupt
        )
        times_s = np.array(stamps, dtype=np.float64) * float(stream.time_base)
        return Told(stream.codec_context.width, stream.codec_context.height, times_s)


def _rate_of(times_s: np.ndarray) -> float | None:
    """Pictures a second; None of fewer than two."""
    step_s = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 0.0
    return 1.0 / step_s if step_s > 0.0 else None


@contextmanager
def _opened(path: Path, pixels: int | None = None) -> Iterator[tuple[Any, Any]]:
    """A file and its stream of pictures; pixels: that a picture has, where it is decoded. What is
    wrong with it is a UserError that names it."""
    try:
        import av
    except ImportError:
        raise UserError("videos are read by PyAV: pip install av") from None
    try:
        with path.open("rb") as file:
            if file.read(len(POINTER)) == POINTER:
                raise UserError(f"{path} is a pointer of Git LFS: get the file with `git lfs pull`")
            file.seek(0)
            with av.open(file, format="mp4") as container:
                if len(container.streams.video) != 1:
                    found = len(container.streams.video)
                    raise UserError(f"{path} has {found} streams of pictures; restore the file")
                stream = container.streams.video[0]
                codec = stream.codec_context
                codec.thread_count = THREADS
                if pixels is not None:
                    most = pixels + MARGIN * (stream.width + stream.height + MARGIN)
                    codec.options = {"err_detect": "explode", "max_pixels": str(most)}
                yield container, stream
    except (av.FFmpegError, OSError) as error:
        told = str(error.strerror or error).lower()
        raise UserError(f"{path} is not a video that can be read ({told}); restore it") from None
