"""Pictures of frames: which one each frame shows, and the file that it is kept as."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from vdd_ros.camera_images import CameraImages
from vdd_ros.datasets.lerobot_statistics import QUANTILES, Statistics
from vdd_ros.errors import UserError
from vdd_ros.images import decode_image, image_file

LEVELS = 256


def newest_numbers(images: CameraImages, ticks_ns: np.ndarray) -> np.ndarray:
    """(N,) number of the newest picture of those taken and received at or before each tick, -1
    before there was one."""
    known_ns = np.maximum(images.taken_ns, images.received_ns)
    order = np.argsort(known_ns, kind="stable")
    stamps = images.taken_ns[order]
    is_newest = stamps == np.maximum.accumulate(stamps)
    newest = np.maximum.accumulate(np.where(is_newest, np.arange(len(stamps)), 0))
    places = np.searchsorted(known_ns[order], ticks_ns, side="right") - 1
    numbers = np.full(len(ticks_ns), -1)
    numbers[places >= 0] = order[newest[places[places >= 0]]]
    return numbers


class Shown(NamedTuple):
    """A CDR message and its pixels (height, width, 3) uint8."""

    message: bytes
    pixels: np.ndarray


class FramePictures:
    """The pictures of one camera that frames show, one in memory at a time. spoilt: how many could
    not be read, in whose place an older one is shown."""

    def __init__(self, images: CameraImages, numbers: np.ndarray, ticks_ns: np.ndarray):
        self._images, self._numbers, self._ticks_ns = images, numbers, ticks_ns
        self._levels = np.zeros((3, LEVELS), dtype=np.int64)
        self._spoilt: set[int] = set()

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def width(self) -> int:
        return self._images.camera.width

    @property
    def height(self) -> int:
        return self._images.camera.height

    def files(self) -> Iterator[bytes]:
        """JPEG or PNG of each frame, without loss; raises UserError where a frame has none that can
        be read."""
        last, file = None, b""
        for shown in self._shown():
            if shown is not last:
                last, file = shown, image_file(self._images.camera, shown.message, shown.pixels)
            yield file

    def pixels(self) -> Iterator[np.ndarray]:
        """(height, width, 3) uint8 of each frame; raises UserError likewise."""
        return (shown.pixels for shown in self._shown())

    def _shown(self) -> Iterator[Shown]:
        last, shown = -1, None
        for number, tick_ns in zip(self._numbers.tolist(), self._ticks_ns.tolist(), strict=True):
            if shown is None or number != last:
                last, shown = number, self._readable(number, tick_ns)
            for channel in range(3):
                self._levels[channel] += np.bincount(
                    shown.pixels[:, :, channel].ravel(), minlength=LEVELS
                )
            yield shown

    @property
    def spoilt(self) -> int:
        return len(self._spoilt)

    def statistics(self) -> Statistics:
        """Exact, by channel, of all pixels of the frames iterated over, 0 to 1, in (3, 1, 1)."""
        return statistics_of_levels(self._levels, len(self._numbers))

    def _readable(self, number: int, tick_ns: int) -> Shown:
        images = self._images
        known = np.maximum(images.stamps_ns, images.received_ns) <= tick_ns
        by_stamp = np.argsort(images.stamps_ns, kind="stable")
        older = by_stamp[known[by_stamp] & (images.stamps_ns[by_stamp] < images.stamps_ns[number])]
        for one in (number, *map(int, older[::-1])):
            if one in self._spoilt:
                continue
            try:
                message = images.message(one)
                return Shown(message, decode_image(images.camera, message))
            except UserError:
                self._spoilt.add(one)
        raise UserError(
            f"{images.path}: no picture of {images.name} up to the frame at {tick_ns} ns can be "
            f"read; trim or delete the episode, or export without --images"
        )


def statistics_of_levels(levels: np.ndarray, count: int) -> Statistics:
    """(3, 256) how many pixels of each channel have each level; count: of pictures."""
    values = np.arange(LEVELS) / (LEVELS - 1)
    total = levels.sum(1)
    mean = levels @ values / total
    spread = levels * (values - mean[:, None]) ** 2
    there = [np.flatnonzero(row) for row in levels]
    return Statistics(
        count=count,
        low=values[[row[0] for row in there]],
        high=values[[row[-1] for row in there]],
        mean=mean,
        std=np.sqrt(spread.sum(1) / total),
        quantiles=np.array([[_quantile(row, values, q) for row in levels] for q in QUANTILES]),
        shape=(3, 1, 1),
    )


def _quantile(levels: np.ndarray, values: np.ndarray, quantile: float) -> float:
    """Linear between the two pixels beside it, as numpy's."""
    above = np.cumsum(levels)
    place = quantile * (above[-1] - 1)
    lower, upper = (
        values[np.searchsorted(above, end, side="right")]
        for end in (np.floor(place), np.ceil(place))
    )
    return float(lower + (place - np.floor(place)) * (upper - lower))
