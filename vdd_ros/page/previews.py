"""Previews: small pictures of cameras, made only while somebody looks at them."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Callable, Mapping
from typing import NamedTuple

from vdd_ros.contract_cameras import COMPRESSED, IMAGE
from vdd_ros.errors import UserError

LONGEST_SIDE = 640  # of a preview [pixels]
QUALITY = 70
SHORTEST_S = 0.15  # between two pictures of one camera, for all who look
LOOKS_FOR_S = 3.0  # after the last request
LARGEST_PIXELS = 40_000_000
LARGEST_BYTES = 128 * 1024 * 1024  # of a message
# encoding -> (mode, raw mode) of Pillow
ENCODINGS = {
    "rgb8": ("RGB", "RGB"),
    "bgr8": ("RGB", "BGR"),
    "rgba8": ("RGB", "RGBX"),
    "bgra8": ("RGB", "BGRX"),
    "mono8": ("L", "L"),
    "8UC1": ("L", "L"),
    "8UC3": ("RGB", "BGR"),
}


class Camera(NamedTuple):
    """topic and type of its messages, IMAGE or COMPRESSED."""

    topic: str
    type: str


class Pixels(NamedTuple):
    """A sensor_msgs/Image: rows of `step` bytes."""

    encoding: str
    width: int
    height: int
    step: int
    data: bytes


def cameras_of(text: str) -> dict[str, Camera]:
    """Cameras by name from 'front:/front/image_raw/compressed wrist:/wrist/image_raw', where a
    topic that ends with `compressed` has compressed pictures; raises UserError."""
    cameras = {}
    for word in text.split():
        name, _, topic = word.partition(":")
        if not re.fullmatch(r"[A-Za-z0-9_]+", name) or not re.fullmatch(r"/?\w+(/\w+)*", topic):
            raise UserError(
                f"previews has {word!r}; write NAME:TOPIC, such as front:/front/image_raw, NAME of "
                "letters, digits and _"
            )
        is_compressed = topic.rsplit("/", 1)[-1] == "compressed"
        cameras[name] = Camera(topic, COMPRESSED if is_compressed else IMAGE)
    return cameras


class Previews:
    """Cameras, who looks at them, and their newest messages; for more than one thread.

    jpeg_of: makes the picture of one message.
    """

    def __init__(self, cameras: Mapping[str, Camera], jpeg_of: Callable[[Camera, bytes], bytes]):
        self.cameras = dict(cameras)
        self._jpeg_of = jpeg_of
        self._lock = threading.Lock()
        self._looked_s: dict[str, float] = {}
        self._messages: dict[str, bytes] = {}
        self._pictures: dict[str, tuple[float, bytes]] = {}

    def wanted(self, now_s: float) -> set[str]:
        """Cameras that somebody looks at; those of the others are forgotten."""
        with self._lock:
            seen = {n for n, at_s in self._looked_s.items() if now_s - at_s <= LOOKS_FOR_S}
            for name in self._looked_s.keys() - seen:
                for of_camera in (self._looked_s, self._messages, self._pictures):
                    of_camera.pop(name, None)  # type: ignore[attr-defined]
            return seen

    def put(self, name: str, message: bytes) -> None:
        """A camera's message came, as the bytes of the wire."""
        if len(message) <= LARGEST_BYTES:
            with self._lock:
                self._messages[name] = message

    def picture(self, name: str, now_s: float) -> bytes | None:
        """The newest picture of a camera as JPEG, None before the first; raises KeyError for no
        camera and UserError for a message that is no picture."""
        camera = self.cameras[name]
        with self._lock:
            self._looked_s[name] = now_s
            made_s, picture = self._pictures.get(name, (-SHORTEST_S, None))
            message = self._messages.get(name)
        if message is None or now_s - made_s < SHORTEST_S:
            return picture
        picture = self._jpeg_of(camera, message)
        with self._lock:
            self._pictures[name] = (now_s, picture)
            if self._messages.get(name) is message:
                del self._messages[name]
        return picture


def jpeg_of_pixels(pixels: Pixels) -> bytes:
    """A raw picture as a small JPEG; raises UserError."""
    from PIL import Image

    if pixels.encoding not in ENCODINGS:
        raise UserError(
            f"no preview of encoding {pixels.encoding!r:.40}, only of {', '.join(ENCODINGS)}"
        )
    mode, raw_mode = ENCODINGS[pixels.encoding]
    _require_size(pixels.width, pixels.height)
    if pixels.step < pixels.width * len(raw_mode) or len(pixels.data) < pixels.step * pixels.height:
        raise UserError(
            f"a picture of {pixels.width} x {pixels.height} {pixels.encoding} came with "
            f"{len(pixels.data)} bytes in rows of {pixels.step}: too few"
        )
    size = (pixels.width, pixels.height)
    return _small_jpeg(Image.frombuffer(mode, size, pixels.data, "raw", raw_mode, pixels.step, 1))


def jpeg_of_compressed(data: bytes) -> bytes:
    """A compressed picture (JPEG or PNG) as a small JPEG; raises UserError."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
            _require_size(*image.size)  # before anything is uncompressed
            image.draft("RGB", (LONGEST_SIDE, LONGEST_SIDE))  # a large JPEG is decoded small
            return _small_jpeg(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"a picture cannot be read: {error}"[:200]) from None


def _require_size(width: int, height: int) -> None:
    if not 0 < width * height <= LARGEST_PIXELS:
        raise UserError(f"a picture of {width} x {height} pixels is none for a preview")


def _small_jpeg(image) -> bytes:
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
