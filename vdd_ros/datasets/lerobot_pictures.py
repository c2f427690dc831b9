"""Pictures of a LeRobot dataset: features of dtype video or image, by camera of the contract."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vdd_ros.datasets.formats import LeRobotFormat
from vdd_ros.datasets.lerobot_info import Feature, Info
from vdd_ros.datasets.lerobot_table import first_line
from vdd_ros.datasets.recording import CameraFrames, FramePicture
from vdd_ros.datasets.video import Video
from vdd_ros.errors import UserError
from vdd_ros.picture_file import BrokenPicture, opened

VIDEO, IMAGE = "video", "image"
AT_ONCE = 8  # rows of a data file whose pictures are in memory


class Pictured(NamedTuple):
    """A feature of pictures. key: its name; dtype: video or image."""

    key: str
    dtype: str
    width: int
    height: int


class Place(NamedTuple):
    """Where the pictures of an episode are in a video file. ends_s: None where nobody says."""

    path: Path
    first_s: float = 0.0
    ends_s: float | None = None
    is_alone: bool = True


def pictured(folder: Path, info: Info, layout: LeRobotFormat) -> dict[str, Pictured]:
    """Camera -> its feature; raises UserError where info.json has none of pictures by that name."""
    path, found = folder / "meta" / "info.json", {}
    for camera, key in layout.images.items():
        told = info.features.get(key)
        if told is None or told.dtype not in (VIDEO, IMAGE):
            known = [name for name, one in info.features.items() if one.dtype in (VIDEO, IMAGE)]
            raise UserError(
                f"{path}: no feature {key!r} of pictures for camera {camera}, there are "
                f"{', '.join(known) or 'none'}: correct the declaration"
            )
        made = told.info or {}
        if made.get("video.is_depth_map") or made.get("is_depth_map"):
            raise UserError(f"{path}: {key} tells depths, not colours: declare another feature")
        found[camera] = Pictured(key, told.dtype, *_size(path, key, told))
    return found


def _size(path: Path, key: str, told: Feature) -> tuple[int, int]:
    """Width and height; converters write either the colours or the rows first."""
    if len(told.shape) == 3 and told.shape[2] == 3:
        return told.shape[1], told.shape[0]
    if len(told.shape) == 3 and told.shape[0] == 3:
        return told.shape[2], told.shape[1]
    raise UserError(
        f"{path}: {key} has the shape {told.shape}; pictures of three colours are read, [height, "
        "width, 3]: declare another feature"
    )


def require_place(place: Place, key: str, count: int, rate_hz: float) -> None:
    """Raise UserError where an episode of so many frames lasts no such time in its video."""
    if place.ends_s is None:
        return
    frames = (place.ends_s - place.first_s) * rate_hz
    if abs(frames - count) > 0.5:
        raise UserError(
            f"meta/episodes says that {key} is from {place.first_s:g} to {place.ends_s:g} s of "
            f"{place.path}, which are {frames:.1f} frames at {rate_hz:g} Hz, and that the episode "
            f"has {count}: restore it"
        )


def frames_in(
    told: Pictured, count: int, rate_hz: float, data: Path, rows: Sequence[int], place: Place | None
) -> CameraFrames:
    """The pictures of an episode. data, rows: its parquet file, and its rows there; place: in a
    video file, of a feature that is one. Raises UserError."""
    if place is None:
        return InRows(data, told.key, told.width, told.height, rows)
    require_place(place, told.key, count, rate_hz)
    first_s, alone = place.first_s, place.is_alone
    return Video(place.path, told.width, told.height, rate_hz, first_s, count, alone)


@dataclass(frozen=True)
class InRows:
    """Files, PNG or JPEG, in rows of a parquet file. rows: their numbers, rising by one."""

    path: Path
    key: str
    width: int
    height: int
    rows: Sequence[int]

    def require_whole(self) -> None:
        """Raise UserError where the file has no such column."""
        import pyarrow as arrow
        from pyarrow import parquet

        try:
            kind = parquet.read_schema(self.path).field(self.key).type
            is_read = arrow.types.is_struct(kind) and kind.get_field_index("bytes") >= 0
        except (KeyError, arrow.ArrowException, OSError) as error:
            raise UserError(f"{self.path}: {first_line(error)}; restore the file") from None
        if not is_read:
            raise UserError(
                f"{self.path}: {self.key} is {kind}, no struct with the bytes of pictures; restore "
                "the file"
            )

    def __iter__(self) -> Iterator[FramePicture]:
        """A picture for each row; raises UserError at the first that cannot be decoded."""
        import pyarrow as arrow

        try:
            for number, file in enumerate(self._files()):
                yield FramePicture(self._decoded(file, number), file)
        except (arrow.ArrowException, OSError) as error:
            told = first_line(error)
            raise UserError(f"{self.path} is not readable ({told}); restore it") from None

    def _files(self) -> Iterator[bytes | None]:
        from pyarrow import parquet

        first, after, begin = self.rows[0], self.rows[-1] + 1, 0
        with parquet.ParquetFile(self.path) as file:
            for group in range(file.num_row_groups):
                end = begin + file.metadata.row_group(group).num_rows
                if begin < after and end > first:
                    at = begin
                    for batch in file.iter_batches(AT_ONCE, [group], [self.key]):
                        for row, cell in enumerate(batch.column(0), at):
                            if first <= row < after:
                                yield cell["bytes"].as_py() if cell.is_valid else None
                        at += len(batch)
                begin = end

    def _decoded(self, file: bytes | None, number: int) -> np.ndarray:
        where = f"{self.path}: the picture of frame {number} in {self.key}"
        if file is None:
            raise UserError(f"{where} is not in the file; restore it with LeRobot's own scripts")
        try:
            with opened(file) as picture:
                if picture.size == (self.width, self.height):
                    return np.asarray(picture.convert("RGB"))
                size = "{}x{}".format(*picture.size)
        except BrokenPicture as error:
            raise UserError(f"{where} cannot be decoded ({error}); restore the file") from None
        raise UserError(
            f"{where} is {size}, info.json says {self.width}x{self.height}; restore the file"
        )
