"""Pictures of frames become messages of cameras, as a contract says that those are."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np

from vdd_ros.camera_writer import CameraWriter
from vdd_ros.cdr import file_cdr, image_cdr
from vdd_ros.contract_cameras import Camera
from vdd_ros.datasets.recording import CameraFrames, FramePicture
from vdd_ros.errors import UserError
from vdd_ros.images import PACKING

BEGINS = {"jpeg": b"\xff\xd8\xff", "png": b"\x89PNG"}
PACKED: dict[str, dict[str, Any]] = {  # more than the eye needs: most were compressed before
    "jpeg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    "png": {"format": "PNG", "compress_level": PACKING},
}
OFF_RATE = 0.01  # share


def require_rates(cameras: Mapping[str, Camera], named: Mapping[str, str], rate_hz: float) -> None:
    """Raise UserError where a camera is to come at another rate than the frames that have it."""
    for name in named:
        declared_hz = cameras[name].rate_hz
        if abs(declared_hz / rate_hz - 1.0) > OFF_RATE:
            raise UserError(
                f"the contract says that camera {name} comes at {declared_hz:g} Hz, the dataset "
                f"has a picture of it at each frame, {rate_hz:g} a second: correct its rate_hz"
            )


def write_pictures(
    writer: CameraWriter, pictures: Mapping[str, CameraFrames], stamps_ns: np.ndarray
) -> None:
    """A picture of each camera at each stamp, one in memory at a time. Raises UserError where one
    cannot be decoded or written."""
    shown = {name: iter(one) for name, one in pictures.items()}
    for stamp_ns in stamps_ns.tolist():
        for name, frames in shown.items():
            data = _message(writer.contract.cameras[name], next(frames), stamp_ns)
            writer.add(name, data, stamp_ns)
        if writer.fault is not None:
            raise UserError(f"pictures cannot be kept, {writer.fault}; nothing is kept")


def _message(camera: Camera, picture: FramePicture, stamp_ns: int) -> bytes:
    """A file stays as it is where the contract's camera sends such ones."""
    if not camera.is_compressed:
        return image_cdr(camera, picture.pixels, stamp_ns)
    file = picture.file
    if file is None or not file.startswith(BEGINS[camera.encoding]):
        file = _packed(camera, picture.pixels)
    return file_cdr(camera, file, stamp_ns)


def _packed(camera: Camera, pixels: np.ndarray) -> bytes:
    from PIL import Image

    made = BytesIO()
    Image.fromarray(pixels).save(made, **PACKED[camera.encoding])
    return made.getvalue()
