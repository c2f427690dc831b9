"""Reads a dataset in LeRobot's format v3.0: many episodes per parquet file, metadata in parquet.

What the metadata says is compared with what the files hold: counts, lengths, places in the files,
frame numbers and, where they are there, the statistics of every episode or of the dataset.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import Field, ValidationError

from vdd_ros.datasets.bounded import read_text
from vdd_ros.datasets.formats import LeRobotFormat
from vdd_ros.datasets.json_part import JsonPart
from vdd_ros.datasets.lerobot_info import (
    Info,
    names_of,
    not_read,
    path_in,
    read_info,
    require_counts,
)
from vdd_ros.datasets.lerobot_meta import VERSION
from vdd_ros.datasets.lerobot_pictures import VIDEO, Place, frames_in, pictured
from vdd_ros.datasets.lerobot_table import (
    NUMBERS,
    Tables,
    compare,
    first_line,
    read_columns,
    require_frames,
    require_parquet_bounded,
    success_of,
)
from vdd_ros.datasets.recording import OneAtATime, Recording
from vdd_ros.datasets.source import Source
from vdd_ros.errors import UserError
from vdd_ros.yaml_file import first_fault

EPISODES = "meta/episodes"
STATISTICS = "meta/stats.json"
OF_EPISODES = "the stats of meta/episodes"


class Row(JsonPart):
    """One row of meta/episodes: where an episode's frames are."""

    episode_index: int
    length: int = Field(ge=0)
    dataset_from_index: int
    dataset_to_index: int
    chunk: int = Field(alias="data/chunk_index")
    file: int = Field(alias="data/file_index")
    tasks: list[str] = []


class VideoRow(JsonPart):
    """What a row says of a feature that is video, each name behind videos/FEATURE/."""

    chunk_index: int
    file_index: int
    from_timestamp: float = Field(ge=0.0, allow_inf_nan=False)
    to_timestamp: float = Field(ge=0.0, allow_inf_nan=False)


class Listed(NamedTuple):
    """An episode's row, and the statistics beside it: feature -> which -> numbers; videos: where
    its pictures are, by feature."""

    row: Row
    stats: dict[str, dict[str, Any]]
    videos: dict[str, VideoRow]


def read_lerobot_v30(folder: Path, source: Source, layout: LeRobotFormat) -> OneAtATime[Recording]:
    """Every episode of the dataset, read when it is asked for; raises UserError where files and
    metadata do not agree."""
    info = read_info(folder, VERSION, source)
    names = names_of(folder, info, source, layout)
    images = pictured(folder, info, layout)
    videos = [one.key for one in images.values() if one.dtype == VIDEO]
    listed = _episodes(folder, list(names), videos)
    rows = [one.row for one in listed]
    indices, lengths = [row.episode_index for row in rows], [row.length for row in rows]
    require_counts(folder / EPISODES, indices, lengths, info, source)
    _require_consecutive(folder, rows)
    numbers = (*NUMBERS, "index", *([layout.success] if layout.success else []))
    sizes = {feature: len(known) for feature, known in names.items()}
    tables = Tables(sizes, numbers)
    _require_statistics(folder, info, listed, names, tables)

    def recording(number: int) -> Recording:
        one = listed[number]
        path, table, rows = _table(folder, info, one, tables)
        notes = [] if one.row.tasks else ["no task is told"]
        notes += [
            f"no statistics of this episode to compare {feature} with"
            for feature in _not_compared(one, path, table, names)
        ]
        return Recording(
            name=f"episode_{one.row.episode_index:06d}",
            where=f"{path}, episode {one.row.episode_index}",
            notes=tuple(notes),
            meta={"instruction": "; ".join(one.row.tasks), **success_of(table, layout)},
            not_read=not_read(info, names, layout),
            pictures={
                camera: frames_in(
                    told, one.row.length, info.fps, path, rows, _place(folder, info, one, told.key)
                )
                for camera, told in images.items()
            },
            **read_columns(table, names, layout),
        )

    return OneAtATime(len(listed), recording)


def _require_statistics(
    folder: Path, info: Info, listed: list[Listed], names: dict[str, list[str]], tables: Tables
) -> None:
    """Raise UserError where an episode has other extremes than was noted of it, or all of them have
    than meta/stats.json says."""
    whole = _statistics(folder)
    extremes: dict[str, list[np.ndarray]] = {feature: [] for feature in names}
    for one in listed:
        path, table, _ = _table(folder, info, one, tables)
        _not_compared(one, path, table, names)
        for feature in names:
            if len(table[feature]):
                extremes[feature] += [table[feature].min(0), table[feature].max(0)]
    for feature in names:
        values = np.array(extremes[feature]).reshape(-1, len(names[feature]))
        compare(folder, feature, names[feature], values, whole.get(feature, {}), STATISTICS)


def _not_compared(
    one: Listed, path: Path, table: dict[str, Any], names: dict[str, list[str]]
) -> list[str]:
    """Features of which nothing was noted with the episode; raises UserError where something else
    was than is there."""
    return [
        feature
        for feature in names
        if not compare(
            path,
            feature,
            names[feature],
            table[feature],
            one.stats.get(feature, {}),
            OF_EPISODES,
        )
    ]


def _episodes(folder: Path, features: list[str], videos: list[str]) -> list[Listed]:
    """Rows of all files of meta/episodes, in the order of the episodes; videos: features that are
    video."""
    import pyarrow as arrow
    from pyarrow import parquet

    paths = sorted((folder / EPISODES).glob("*/*.parquet"))
    if not paths:
        raise UserError(
            f"no parquet file below {folder / EPISODES}: a dataset of {VERSION} lists its episodes "
            f"there; restore it, or convert one of v2.1 with LeRobot's own script"
        )
    statistics = {
        f"stats/{feature}/{which}": (feature, which)
        for feature in features
        for which in ("min", "max")
    }
    needed = [str(field.alias or name) for name, field in Row.model_fields.items()]
    listed = []
    for path in paths:
        try:
            require_parquet_bounded(path)
            known = parquet.read_schema(path).names
            places = [f"videos/{key}/{name}" for key in videos for name in VideoRow.model_fields]
            wanted = [name for name in (*needed, *statistics, *places) if name in known]
            found = parquet.read_table(path, columns=wanted).to_pylist()
        except (arrow.ArrowException, OSError, ValueError) as error:
            raise UserError(f"{path} is not readable ({first_line(error)}); restore it") from None
        for number, raw in enumerate(found):
            try:
                row = Row.model_validate({name: raw[name] for name in needed if name in raw})
                shown = {key: _video_row(raw, key) for key in videos}
            except ValidationError as error:
                raise UserError(f"{path}, row {number}: {first_fault(error)}; restore it") from None
            stats: dict[str, dict[str, Any]] = {}
            for name, (feature, which) in statistics.items():
                if raw.get(name) is not None:
                    stats.setdefault(feature, {})[which] = raw[name]
            listed.append(Listed(row, stats, shown))
    return sorted(listed, key=lambda one: one.row.episode_index)


def _require_consecutive(folder: Path, rows: list[Row]) -> None:
    first = 0
    for row in rows:
        if (row.dataset_from_index, row.dataset_to_index) != (first, first + row.length):
            raise UserError(
                f"{folder / EPISODES}: episode {row.episode_index} of {row.length} frames is said "
                f"to be frames {row.dataset_from_index} to {row.dataset_to_index}, those before "
                f"end at {first}: restore it"
            )
        first += row.length


def _video_row(raw: dict[str, Any], key: str) -> VideoRow:
    begin = f"videos/{key}/"
    own = {name: raw[begin + name] for name in VideoRow.model_fields if begin + name in raw}
    return VideoRow.model_validate(own)


def _place(folder: Path, info: Info, one: Listed, key: str) -> Place | None:
    """Where the pictures of a feature that is video are, None of another."""
    told = one.videos.get(key)
    if told is None:
        return None
    numbers = {"chunk_index": told.chunk_index, "file_index": told.file_index}
    path = path_in(folder, info, "video_path", video_key=key, **numbers)
    return Place(path, told.from_timestamp, told.to_timestamp, is_alone=False)


def _table(
    folder: Path, info: Info, one: Listed, tables: Tables
) -> tuple[Path, dict[str, Any], range]:
    """An episode's file, its rows of it, and their numbers."""
    row = one.row
    path = path_in(folder, info, "data_path", chunk_index=row.chunk, file_index=row.file)
    part, first = tables.of(path, row.episode_index)
    if len(part["index"]) != row.length:
        raise UserError(
            f"{path} has {len(part['index'])} frames of episode {row.episode_index}, "
            f"{EPISODES} says {row.length}: restore the file"
        )
    require_frames(path, part["frame_index"], first)
    expected = np.arange(row.dataset_from_index, row.dataset_to_index)
    if (part["index"] != expected).any():
        at = int(np.flatnonzero(part["index"] != expected)[0])
        raise UserError(
            f"{path}: index of frame {at} of episode {row.episode_index} is "
            f"{part['index'][at]}, {EPISODES} says {expected[at]}: restore the file"
        )
    return path, part, range(first, first + row.length)


def _statistics(folder: Path) -> dict[str, dict[str, Any]]:
    """meta/stats.json, or nothing where there is none."""
    path = folder / STATISTICS
    try:
        stats = json.loads(read_text(path))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is not readable ({error}); restore it or delete it") from None
    if not isinstance(stats, dict) or not all(isinstance(one, dict) for one in stats.values()):
        raise UserError(f"{path} holds no statistics by feature; restore it or delete it")
    return stats
