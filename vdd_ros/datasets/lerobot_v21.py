"""Reads a dataset in LeRobot's format v2.1: one parquet file per episode, metadata in JSON lines.

What the metadata says is compared with what the files hold: counts, lengths, frame numbers and,
where they are there, the statistics of every episode.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeVar

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
from vdd_ros.datasets.lerobot_pictures import VIDEO, Pictured, Place, frames_in, pictured
from vdd_ros.datasets.lerobot_table import (
    NUMBERS,
    compare,
    read_columns,
    read_table,
    require_frames,
    success_of,
)
from vdd_ros.datasets.recording import OneAtATime, Recording
from vdd_ros.datasets.source import Source
from vdd_ros.errors import UserError
from vdd_ros.yaml_file import first_fault

VERSION = "v2.1"
STATISTICS = "meta/episodes_stats.jsonl"


class Row(JsonPart):
    """One line of meta/episodes.jsonl."""

    episode_index: int
    length: Annotated[int, Field(ge=0)]
    tasks: list[str] = []


class Statistics(JsonPart):
    """One line of meta/episodes_stats.jsonl; of images it holds deeper lists than are read."""

    episode_index: int
    stats: dict[str, dict[str, Any]]


Line = TypeVar("Line", Row, Statistics)


def read_lerobot_v21(folder: Path, source: Source, layout: LeRobotFormat) -> OneAtATime[Recording]:
    """Every episode of the dataset, read when it is asked for; raises UserError where files and
    metadata do not agree."""
    info = read_info(folder, VERSION, source)
    names = names_of(folder, info, source, layout)
    images = pictured(folder, info, layout)
    path = folder / "meta" / "episodes.jsonl"
    rows = _lines(path, Row)
    indices, lengths = [row.episode_index for row in rows], [row.length for row in rows]
    require_counts(path, indices, lengths, info, source)
    path = folder / STATISTICS
    lines = _lines(path, Statistics) if path.exists() else []
    statistics = {line.episode_index: line.stats for line in lines}
    return OneAtATime(
        len(rows),
        lambda number: _read(folder, info, rows[number], layout, names, statistics, images),
    )


def _read(
    folder: Path,
    info: Info,
    row: Row,
    layout: LeRobotFormat,
    names: dict[str, list[str]],
    statistics: dict[int, dict],
    images: dict[str, Pictured],
) -> Recording:
    index = row.episode_index
    numbered = {"episode_chunk": index // info.chunks_size, "episode_index": index}
    path = path_in(folder, info, "data_path", **numbered)
    sizes = {feature: len(known) for feature, known in names.items()}
    numbers = NUMBERS if layout.success is None else (*NUMBERS, layout.success)
    table = read_table(path, sizes, numbers)
    if len(table["timestamp"]) != row.length:
        raise UserError(
            f"{path} has {len(table['timestamp'])} frames, meta/episodes.jsonl says "
            f"{row.length}: restore the file"
        )
    if (table["episode_index"] != index).any():
        at = int(np.flatnonzero(table["episode_index"] != index)[0])
        raise UserError(
            f"{path}: frame {at} belongs to episode {table['episode_index'][at]}, the file is that "
            f"of {index}: restore the file"
        )
    require_frames(path, table["frame_index"])
    noted = statistics.get(index, {})
    unknown = [
        feature
        for feature in names
        if not compare(
            path, feature, names[feature], table[feature], noted.get(feature, {}), STATISTICS
        )
    ]
    return Recording(
        name=path.stem,
        where=str(path),
        notes=tuple(f"no statistics to compare {feature} with" for feature in unknown),
        meta={"instruction": "; ".join(row.tasks), **success_of(table, layout)},
        not_read=not_read(info, names, layout),
        pictures={
            camera: frames_in(
                one,
                row.length,
                info.fps,
                path,
                range(row.length),
                Place(path_in(folder, info, "video_path", video_key=one.key, **numbered))
                if one.dtype == VIDEO
                else None,
            )
            for camera, one in images.items()
        },
        **read_columns(table, names, layout),
    )


def _lines(path: Path, kind: type[Line]) -> list[Line]:
    try:
        lines = read_text(path).split(b"\n")
    except FileNotFoundError:
        raise UserError(f"{path} is missing; restore it") from None
    except OSError as error:
        raise UserError(f"{path} is not readable ({error}); restore it") from None
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            if line.strip():
                rows.append(kind.model_validate_json(line))
        except ValidationError as error:
            raise UserError(f"{path}, line {number}: {first_fault(error)}; restore it") from None
    return rows
