"""Freshness: whether what a window shows is young enough to act on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.stream import Window


class Stale(NamedTuple):
    """source: the stream or camera that is too old, or stamped too far ahead; told: by how much."""

    source: str
    told: str


class Freshness:
    """Of the observation of one contract, by the `max_age_s` of its streams and cameras."""

    def __init__(self, contract: Contract):
        streams = [contract.streams[part.stream] for part in contract.observation]
        cameras = [contract.cameras[image.camera] for image in contract.images]
        self._contract = contract
        self._most_ns, self._most_of_images_ns = (
            np.array([round(source.max_age_s * 1e9) for source in sources], dtype=np.int64)
            for sources in (streams, cameras)
        )

    def stale(self, window: Window) -> Stale | None:
        """The first part of the observation, or else the first image, that is too old at the
        window's tick, or stamped too far ahead; None where all may be acted on."""
        ages_ns = window.tick_ns - window.stamps_ns[-1]
        is_stale = np.abs(ages_ns) > self._most_ns
        if is_stale.any():
            first = int(is_stale.argmax())
            part = self._contract.observation[first]
            return Stale(part.stream, _told(part.name, ages_ns[first], self._most_ns[first]))
        return self._stale_image(window) if window.images else None

    def _stale_image(self, window: Window) -> Stale | None:
        ages_ns = window.image_ages_ns
        is_stale = np.abs(ages_ns) > self._most_of_images_ns
        if not is_stale.any():
            return None
        first = int(is_stale.argmax())
        image = self._contract.images[first]
        name = f"image {image.name} of camera {image.camera}"
        return Stale(image.camera, _told(name, ages_ns[first], self._most_of_images_ns[first]))


def _told(name: str, age_ns: int, most_ns: int) -> str:
    return f"{name} is {age_ns * 1e-9:.3f} s old, at most {most_ns * 1e-9:g}"
