"""Recorded windows in a bundle: what its parity is measured on, here and on every device.

One array of float32 rows, each a window (To * Do) and the chunk that was recorded after it (H * A),
NaN where the episode had ended. In numpy's own format, which is read without unpickling.
"""

from __future__ import annotations

import io

import numpy as np

from vdd_ros.errors import UserError
from vdd_ros.parity import Recorded


def to_npy(recorded: Recorded) -> bytes:
    """The bytes of the file; the same for the same windows."""
    count = len(recorded.observations)
    rows = np.concatenate(
        [recorded.observations.reshape(count, -1), recorded.chunks.reshape(count, -1)], axis=1
    )
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, rows.astype("<f4"), version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def from_npy(data: bytes, window: tuple[int, int], chunk: tuple[int, int], where: str) -> Recorded:
    """window: (To, Do), chunk: (H, A), as the bundle's manifest and contract say. Raises UserError
    for other bytes than `to_npy` makes."""
    fault = UserError(f"{where} holds no recorded windows: export the bundle again")
    sizes = int(np.prod(window)), int(np.prod(chunk))
    buffer = io.BytesIO(data)
    try:
        if np.lib.format.read_magic(buffer) != (1, 0):
            raise fault
        shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(buffer)
    except ValueError:
        raise fault from None
    if is_fortran or dtype != np.dtype("<f4") or len(shape) != 2 or shape[1] != sum(sizes):
        raise fault
    if shape[0] < 1 or len(data) - buffer.tell() != 4 * shape[0] * shape[1]:
        raise fault
    rows = np.frombuffer(data, "<f4", offset=buffer.tell()).reshape(shape)
    observations = rows[:, : sizes[0]].reshape(-1, *window)
    if not np.isfinite(observations).all():
        raise fault
    return Recorded(observations, rows[:, sizes[0] :].reshape(-1, *chunk))
