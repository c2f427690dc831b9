"""Writes LeRobot's format v3.0: many episodes per parquet file, metadata in parquet and JSON.

A camera would be one more feature, of dtype video: with files of its own below videos/, and columns
videos/<key>/chunk_index, file_index, from_timestamp and to_timestamp in meta/episodes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from vdd_ros.datasets.formats import LeRobotFormat, ObjectKeys
from vdd_ros.datasets.frames import Frames
from vdd_ros.datasets.lerobot_meta import (
    FILES_PER_CHUNK,
    PATTERN,
    info_of,
    write_episodes,
    write_json,
    write_tasks,
)
from vdd_ros.datasets.lerobot_statistics import Statistics, statistics_of
from vdd_ros.datasets.parquet_files import ParquetFiles
from vdd_ros.datasets.taken import Taken, rounded_in_float32

STATE, ACTION, VELOCITY = "observation.state", "action", "observation.velocity"
DONE, SUCCESS = "next.done", "next.success"
COUNTED = ("frame_index", "episode_index", "index", "task_index")


def write_lerobot(
    folder: Path,
    taken: Taken,
    dtype: str,
    file_mb: int,
    report: Callable[[int, int], None],
) -> tuple[LeRobotFormat, list[str], list[str]]:
    """Write the dataset; returns how it is read again, the name of each recording, and what of it
    was rounded. dtype: float32 or float64 of its numbers; file_mb: largest data file [MiB]."""
    features = _features(taken, dtype)
    tasks = list(dict.fromkeys(map(instruction, taken.frames)))
    data = ParquetFiles(folder, f"data/{PATTERN}.parquet", file_mb, FILES_PER_CHUNK)
    rows: list[dict[str, Any]] = []
    statistics: list[dict[str, Statistics]] = []
    first = 0
    for index, frames in enumerate(taken.frames):
        task = tasks.index(instruction(frames))
        values = _values(taken, frames, index, first, task, features)
        chunk, file = data.write(_table(values, features))
        statistics.append({key: statistics_of(array) for key, array in values.items()})
        rows.append(
            {
                "episode_index": index,
                "tasks": [instruction(frames)],
                "length": len(frames),
                "data/chunk_index": chunk,
                "data/file_index": file,
                "dataset_from_index": first,
                "dataset_to_index": first + len(frames),
            }
        )
        first += len(frames)
        report(index + 1, len(taken.frames))
    data.close()
    write_episodes(folder, rows, statistics, file_mb)
    write_tasks(folder, tasks)
    whole = {key: Statistics.of_all([one[key] for one in statistics]) for key in features}
    write_json(folder / "meta/stats.json", {key: one.plain() for key, one in whole.items()})
    write_json(folder / "meta/info.json", info_of(taken, features, first, len(tasks), file_mb))
    lost = []
    if dtype == "float32" and (error := rounded_in_float32(taken)):
        lost.append(f"digits: numbers are rounded to float32, by {error:.1g} at most")
    names = [f"episode_{index:06d}" for index in range(len(taken.frames))]
    return _layout(taken), names, lost


def instruction(frames: Frames) -> str:
    """The task as one would tell it."""
    manifest = frames.manifest
    told = manifest.meta.get("instruction")
    return manifest.provenance.prompt or (told if isinstance(told, str) else "") or manifest.task


def _layout(taken: Taken) -> LeRobotFormat:
    keys = None
    if taken.objects is not None:
        position, heading = (_object_key(taken, field) for field in ("position", "heading"))
        keys = ObjectKeys(stream=taken.objects, position=position, heading=heading)
    return LeRobotFormat(
        kind="lerobot_v3.0",
        state=STATE,
        action=ACTION,
        velocity=VELOCITY if taken.has_velocity else None,
        success=SUCCESS if taken.has_success else None,
        objects=keys,
    )


def _object_key(taken: Taken, field: str) -> str:
    return f"observation.{taken.objects}.{field}"


def _features(taken: Taken, dtype: str) -> dict[str, dict[str, Any]]:
    joints = taken.contract.joint_names

    def feature(kind: str, names: tuple[str, ...] | None) -> dict[str, Any]:
        return {
            "dtype": kind,
            "shape": [1 if names is None else len(names)],
            "names": None if names is None else list(names),
        }

    features = {STATE: feature(dtype, joints), ACTION: feature(dtype, joints)}
    if taken.has_velocity:
        features[VELOCITY] = feature(dtype, joints)
    if taken.objects is not None:
        for field in ("position", "heading"):
            features[_object_key(taken, field)] = feature(dtype, taken.object_names(field))
    features[DONE] = feature("bool", None)
    if taken.has_success:
        features[SUCCESS] = feature("bool", None)
    features["timestamp"] = feature("float32", None)
    return features | {name: feature("int64", None) for name in COUNTED}


def _values(
    taken: Taken,
    frames: Frames,
    index: int,
    first: int,
    task: int,
    features: dict[str, dict[str, Any]],
) -> dict[str, np.ndarray]:
    """(N, D) of every feature, in the type it is written in."""
    count = len(frames)
    is_last = np.arange(count) == count - 1
    found: dict[str, Any] = {
        STATE: frames.state,
        ACTION: frames.command,
        VELOCITY: frames.velocity,
        DONE: is_last,
        SUCCESS: is_last & bool(frames.success),
        "timestamp": np.arange(count) / taken.contract.rates.policy_hz,
        "frame_index": np.arange(count),
        "episode_index": np.full(count, index),
        "index": np.arange(first, first + count),
        "task_index": np.full(count, task),
    }
    if taken.objects is not None:
        for field, values in frames.objects[taken.objects].items():
            found[_object_key(taken, field)] = values
    return {
        key: np.asarray(found[key]).astype(described["dtype"]).reshape(count, -1)
        for key, described in features.items()
    }


def _table(values: dict[str, np.ndarray], features: dict[str, dict[str, Any]]) -> Any:
    import pyarrow as arrow

    columns = {}
    for key, array in values.items():
        flat = arrow.array(array.ravel())
        size = features[key]["shape"][0]
        columns[key] = flat if size == 1 else arrow.FixedSizeListArray.from_arrays(flat, size)
    return arrow.table(columns)
