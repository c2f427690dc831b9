"""Pictures out of messages: exactly those that went in, and one sentence for all that are none."""

from __future__ import annotations

import struct
import sys
import zlib

import numpy as np
import pytest
from pictures import HEIGHT, WIDTH, camera, scene

from vdd_ros.bag import typestore
from vdd_ros.cdr import image_cdr
from vdd_ros.contract_cameras import COMPRESSED, IMAGE, Camera
from vdd_ros.errors import UserError
from vdd_ros.images import decode_image, frame_of, grey

STAMP = 1_234_567_890_123_456_789


def made(encoding: str, **more) -> Camera:
    return Camera(**camera("front", encoding, **more))


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "png", "mono8", "jpeg"])
def test_what_goes_in_comes_out(encoding):
    one = made(encoding)
    pixels = scene(one, STAMP)
    data = image_cdr(one, pixels, STAMP)
    found = decode_image(one, data)
    assert found.shape == (HEIGHT, WIDTH, 3) and found.dtype == np.uint8
    if encoding == "mono8":
        pixels = np.repeat(pixels.mean(axis=2).astype(np.uint8)[:, :, None], 3, axis=2)
    if encoding == "jpeg":  # which loses something
        assert np.abs(grey(found) - grey(pixels)).mean() < 8
    else:
        np.testing.assert_array_equal(found, pixels)
    assert frame_of(data) == "front_optical"


def test_rows_may_be_longer_than_their_pixels():
    one = made("rgb8")
    pixels = scene(one, STAMP)
    padded = np.zeros((HEIGHT, WIDTH * 3 + 16), np.uint8)
    padded[:, : WIDTH * 3] = pixels.reshape(HEIGHT, -1)
    np.testing.assert_array_equal(decode_image(one, image(one, padded.ravel())), pixels)


def image(one: Camera, data: np.ndarray, **more) -> bytes:
    """A raw image that says anything of itself."""
    store = typestore()
    step = len(data) // one.height
    said = {"height": one.height, "width": one.width, "encoding": one.encoding} | more
    message = store.types[IMAGE](header(), is_bigendian=0, step=step, data=data, **said)
    return bytes(store.serialize_cdr(message, IMAGE))


def file(data: bytes) -> bytes:
    store = typestore()
    message = store.types[COMPRESSED](header(), "jpeg", np.frombuffer(data, np.uint8))
    return bytes(store.serialize_cdr(message, COMPRESSED))


def header():
    types = typestore().types
    return types["std_msgs/msg/Header"](types["builtin_interfaces/msg/Time"](1, 2), "front_optical")


def png(width: int, height: int, data: bytes) -> bytes:
    """A file that says it has a size, whatever its data are."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + crc

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


RAW, PNG = made("rgb8"), made("png")
PIXELS = np.zeros(HEIGHT * WIDTH * 3, np.uint8)
NONE = {
    "another size": (RAW, image(RAW, PIXELS, width=64), "64x24 came instead of rgb8 of 32x24"),
    "another encoding": (RAW, image(RAW, PIXELS, encoding="yuv422"), "yuv422 of 32x24 came"),
    "a size that lies": (RAW, image(RAW, PIXELS[:300]), "300 bytes in rows of 12 are no rgb8"),
    "a size beyond all": (RAW, image(RAW, PIXELS, width=2**31), "of 2147483648x24 came"),
    "a message that is cut off": (RAW, image(RAW, PIXELS)[:1000], "1000 bytes is no sensor_msgs"),
    "nothing": (RAW, b"\0\1\0\0", "4 bytes is no sensor_msgs"),
    "another file": (PNG, image_cdr(made("jpeg"), scene(RAW, 0), 0), "jpeg of 32x24 came"),
    "no file": (PNG, file(b"no picture at all"), "17 bytes are no png of 32x24 (cannot identify"),
    "a bomb": (PNG, file(png(100_000, 100_000, b"")), "are no png of 32x24 (Image size"),
    "a larger file": (PNG, file(png(64, 48, b"")), "png of 64x48 came instead of png of 32x24"),
    "damaged data": (PNG, file(png(WIDTH, HEIGHT, b"damage")), "are no png of 32x24"),
    "data that unpack to more": (
        PNG, file(png(WIDTH, HEIGHT, zlib.compress(b"\0" * 1000)[:9])), "are no png of 32x24",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("one", "data", "said"), NONE.values(), ids=list(NONE))
def test_what_is_no_picture_is_told_in_one_sentence(one, data, said):
    with pytest.raises(UserError) as told:
        decode_image(one, data)
    assert said in str(told.value) and "\n" not in str(told.value)


def test_a_jpeg_that_is_cut_off_is_none():
    one = made("jpeg", width=320, height=240)
    data = image_cdr(one, scene(one, STAMP), STAMP)
    store = typestore()
    whole = store.deserialize_cdr(data, COMPRESSED).data
    with pytest.raises(UserError, match="are no jpeg of 320x240"):
        decode_image(one, file(bytes(whole[: len(whole) // 2])))


def test_what_a_machine_lacks_is_told(monkeypatch):
    one = made("jpeg")
    data = image_cdr(one, scene(one, STAMP), STAMP)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(UserError, match="pip install pillow"):
        decode_image(one, data)


def test_a_header_that_is_none_is_told():
    with pytest.raises(UserError, match="3 bytes has no header"):
        frame_of(b"\0\1\0")
    with pytest.raises(UserError, match="no readable frame"):
        frame_of(b"\0\1\0\0" + bytes(8) + struct.pack("<I", 3) + b"\xff\xfe\0" + bytes(20))
