"""Pictures in HDF5 files of others: arrays of bytes, read a row at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vdd_ros.datasets.bounded import require_bounded
from vdd_ros.datasets.hdf5 import dataset, opened
from vdd_ros.datasets.recording import FramePicture
from vdd_ros.errors import UserError


@dataclass(frozen=True)
class InHdf5:
    """`count` rows of an array (N, height, width, 3) below a demonstration."""

    path: Path
    demo: str
    key: str
    width: int
    height: int
    count: int

    @classmethod
    def of(cls, path: Path, demo: str, group: Any, key: str, count: int) -> InHdf5:
        """Raises UserError where the array holds no pictures, or not one for each frame."""
        where = f"{path}, {demo}"
        found = dataset(where, group, key)
        if found.dtype != np.uint8 or found.ndim != 4 or found.shape[3] != 3:
            raise UserError(
                f"{where}: {key} is {found.dtype} of shape {found.shape}; pictures are bytes, "
                "(frames, height, width, 3): correct the declaration"
            )
        if len(found) != count:
            raise UserError(
                f"{where}: {key} has {len(found)} pictures, others have {count} rows; restore the "
                "file"
            )
        at_once = found.chunks or found.shape[1:]  # what is unpacked for one row
        require_bounded(f"{where}: a part of {key}", int(np.prod(at_once)))
        return cls(path, demo, key, found.shape[2], found.shape[1], count)

    def require_whole(self) -> None:
        """Which was looked at when the demonstration was."""

    def __iter__(self) -> Iterator[FramePicture]:
        """Raises UserError where a row cannot be read."""
        with opened(self.path, "robomimic") as file:
            found = dataset(f"{self.path}, {self.demo}", file["data"][self.demo], self.key)
            for row in range(self.count):
                yield FramePicture(np.asarray(found[row]))
