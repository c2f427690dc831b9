"""Previews: pixels that are known, pictures that are none, and who looks."""

from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
from PIL import Image

from vdd_ros.errors import UserError
from vdd_ros.page.previews import (
    COMPRESSED,
    IMAGE,
    LONGEST_SIDE,
    LOOKS_FOR_S,
    SHORTEST_S,
    Camera,
    Pixels,
    Previews,
    cameras_of,
    jpeg_of_compressed,
    jpeg_of_pixels,
)

RED, GREY = (200, 30, 10), 90


def colour(jpeg: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(jpeg)) as image:
        assert image.format == "JPEG"
        return np.asarray(image.convert("RGB"), dtype=float).mean((0, 1))


def pixels(encoding: str, value: tuple[int, ...], padding: int = 0) -> Pixels:
    row = bytes(value) * 32 + b"\xff" * padding
    return Pixels(encoding, 32, 24, len(row), row * 24)


@pytest.mark.parametrize(
    ("encoding", "value", "expected"),
    [
        ("rgb8", RED, RED),
        ("bgr8", RED[::-1], RED),
        ("rgba8", (*RED, 0), RED),
        ("bgra8", (*RED[::-1], 0), RED),
        ("mono8", (GREY,), (GREY,) * 3),
    ],
)
@pytest.mark.parametrize("padding", [0, 5])
def test_raw_pictures_keep_their_colours(encoding, value, expected, padding):
    jpeg = jpeg_of_pixels(pixels(encoding, value, padding))
    np.testing.assert_allclose(colour(jpeg), expected, atol=4)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_compressed_pictures_are_made_small(kind):
    file = io.BytesIO()
    Image.new("RGB", (1920, 1080), RED).save(file, kind)
    jpeg = jpeg_of_compressed(file.getvalue())
    with Image.open(io.BytesIO(jpeg)) as image:
        assert image.size == (LONGEST_SIDE, LONGEST_SIDE * 1080 // 1920)
    np.testing.assert_allclose(colour(jpeg), RED, atol=4)


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (pixels("16UC1", (1, 2)), "no preview of encoding '16UC1'"),
        (pixels("rgb8", RED)._replace(data=b"\0" * 100), "too few"),
        (pixels("rgb8", RED)._replace(step=40), "too few"),
        (pixels("rgb8", RED)._replace(width=0), "0 x 24"),
        (pixels("rgb8", RED)._replace(width=1 << 20, height=1 << 20), "none for a preview"),
    ],
)
def test_a_raw_picture_that_is_none_ends_in_a_sentence(raw, sentence):
    with pytest.raises(UserError, match=sentence):
        jpeg_of_pixels(raw)


def png_of_nothing(width: int, height: int) -> bytes:
    """A PNG of a few hundred bytes that says that it is huge."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(kind + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + kind + data + crc

    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    data = chunk(b"IDAT", zlib.compress(b"\0" * 10_000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size + b"\x08\2\0\0\0") + data + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    "data", [b"", b"GIF89a" + b"\0" * 50, b"\xff\xd8\xff\xe0", png_of_nothing(60_000, 60_000)]
)
def test_a_compressed_picture_that_is_none_ends_in_a_sentence(data):
    with pytest.raises(UserError, match="picture"):
        jpeg_of_compressed(data)


def test_pictures_are_made_for_those_who_look_and_no_more_often_than_needed():
    made = []

    def jpeg_of(camera: Camera, message: bytes) -> bytes:
        made.append((camera.topic, message))
        return b"jpeg of " + message

    previews = Previews(cameras_of("front:/front/image_raw wrist:wrist/compressed"), jpeg_of)
    assert previews.wanted(0.0) == set()
    assert previews.picture("front", 0.0) is None
    assert previews.wanted(0.0) == {"front"}
    previews.put("front", b"one")
    previews.put("front", b"two")
    assert previews.picture("front", 0.1) == b"jpeg of two"
    previews.put("front", b"three")
    assert previews.picture("front", 0.1 + SHORTEST_S / 2) == b"jpeg of two"
    assert previews.picture("front", 0.1 + SHORTEST_S) == b"jpeg of three"
    assert previews.picture("front", 1.0) == b"jpeg of three"
    assert made == [("/front/image_raw", b"two"), ("/front/image_raw", b"three")]
    assert previews.wanted(1.0 + LOOKS_FOR_S + 0.1) == set()
    assert previews.picture("front", 9.0) is None, "an old picture is no preview"
    with pytest.raises(KeyError):
        previews.picture("../front", 9.0)


def test_cameras_are_named_with_their_topics():
    assert cameras_of("") == {}
    assert cameras_of("a:/a/image_raw b:b/image_raw/compressed") == {
        "a": Camera("/a/image_raw", IMAGE),
        "b": Camera("b/image_raw/compressed", COMPRESSED),
    }
    for wrong in ("front", "front:", ":topic", "fr/ont:/topic", "front:/to pic", "a:/b//c"):
        with pytest.raises(UserError, match="NAME:TOPIC"):
            cameras_of(wrong)
