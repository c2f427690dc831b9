"""Pictures: from the bytes of a message to an array, bounded by what the contract says they are."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import numpy as np

from vdd_ros.bag import typestore
from vdd_ros.contract_cameras import BYTES_PER_PIXEL, Camera
from vdd_ros.errors import UserError
from vdd_ros.picture_file import BrokenPicture, opened

HEAD = range(12, 16)  # where a header, behind encapsulation and stamp, says how long its frame is
PACKING = 1  # of PNG: half the time of the usual 6, for a seventh more bytes
TILES = 16  # of a side of a picture


def decode_image(camera: Camera, data: bytes) -> np.ndarray:
    """(height, width, 3) uint8, red, green, blue, of a CDR message; mono8 has three equal ones.

    Raises UserError, with what was found, where the message is not what the contract says: another
    size or encoding, too few bytes, a file that cannot be read. Never more memory is taken than a
    picture of the contract's size needs, whatever the message says of itself.
    """
    message = _message(camera, data)
    pixels = _unpacked(camera, message) if camera.is_compressed else _raw(camera, message)
    return np.ascontiguousarray(pixels)


def image_file(camera: Camera, data: bytes, pixels: np.ndarray) -> bytes:
    """A CDR message, of which `decode_image` made the pixels, as a file without loss: as it came
    where that is a file of three colours, else PNG."""
    from PIL import Image

    if camera.is_compressed:
        file = bytes(_message(camera, data).data)
        if Image.open(BytesIO(file)).mode == "RGB":
            return file
    made = BytesIO()
    Image.fromarray(pixels).save(made, "PNG", compress_level=PACKING)
    return made.getvalue()


def grey(pixels: np.ndarray) -> np.ndarray:
    """(height / 2, width / 2) float32 grey levels, 0 to 255, of every other row and column."""
    return pixels[::2, ::2].mean(axis=2, dtype=np.float32)


def tiles(pixels: np.ndarray) -> np.ndarray:
    """(TILES * TILES,) mean brightness, 0 to 255, of parts of a picture that lie side by side."""
    rows, columns = (np.linspace(0, size, TILES + 1).astype(int) for size in pixels.shape[:2])
    grey_levels = pixels.mean(axis=2, dtype=np.float32)
    sums = np.add.reduceat(np.add.reduceat(grey_levels, rows[:-1], axis=0), columns[:-1], axis=1)
    return (sums / np.outer(np.diff(rows), np.diff(columns))).ravel().astype(np.float64)


def _message(camera: Camera, data: bytes):
    from rosbags.serde import SerdeError

    try:
        return typestore().deserialize_cdr(data, camera.type)
    except (SerdeError, ValueError, IndexError, MemoryError) as error:
        told = str(error) or type(error).__name__
        raise UserError(f"a message of {len(data)} bytes is no {camera.type} ({told})") from None


def _raw(camera: Camera, message) -> np.ndarray:
    found = (message.encoding, message.width, message.height)
    wanted = (camera.encoding, camera.width, camera.height)
    if found != wanted:
        raise UserError(f"{_named(*found)} came instead of {_named(*wanted)}")
    row = camera.width * BYTES_PER_PIXEL[camera.encoding]
    if message.step < row or len(message.data) < message.step * (camera.height - 1) + row:
        raise UserError(
            f"{len(message.data)} bytes in rows of {message.step} are no {_named(*wanted)}"
        )
    rows = np.lib.stride_tricks.as_strided(
        message.data, (camera.height, row), (message.step, 1), writeable=False
    )
    if camera.encoding == "mono8":
        return np.repeat(rows[:, :, None], 3, axis=2)
    pixels = rows.reshape(camera.height, camera.width, 3)
    return pixels[:, :, ::-1] if camera.encoding == "bgr8" else pixels


def _unpacked(camera: Camera, message) -> np.ndarray:
    wanted = _named(camera.encoding, camera.width, camera.height)
    try:
        with opened(message.data) as picture:
            found = _named(str(picture.format).lower(), *picture.size)
            if found != wanted:
                raise UserError(f"{found} came instead of {wanted}")
            return np.asarray(picture.convert("RGB"))
    except BrokenPicture as error:
        raise UserError(f"{len(message.data)} bytes are no {wanted} ({error})") from None


def _named(encoding: str, width: int, height: int) -> str:
    return f"{encoding!s:.40} of {width}x{height}"


def frame_of(data: bytes) -> str:
    """The frame in the header of a CDR message; raises UserError where there is none."""
    try:
        return bytes(data[HEAD.stop : _header_size(data)]).rstrip(b"\0").decode()
    except UnicodeDecodeError:
        raise UserError(f"a message of {len(data)} bytes has no readable frame") from None


def content_of(data: bytes) -> int:
    """Another number for other pixels, whenever the CDR message was taken; raises UserError where
    it has no header."""
    return zlib.crc32(memoryview(data)[_header_size(data) :])


def _header_size(data: bytes) -> int:
    """Bytes before what follows the header, which starts with when the picture was taken."""
    if len(data) < HEAD.stop:
        raise UserError(f"a message of {len(data)} bytes has no header")
    (length,) = struct.unpack_from("<I" if data[1] else ">I", data, HEAD.start)
    return HEAD.stop + length
