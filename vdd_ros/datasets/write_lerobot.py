"""Writes LeRobot's format v3.0: many episodes per parquet file, metadata in parquet and JSON.

Pictures are features of dtype image (files, JPEG or PNG, in the rows of the data) or video.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from vdd_ros.datasets.formats import LeRobotFormat, ObjectKeys
from vdd_ros.datasets.frame_pictures import FramePictures
from vdd_ros.datasets.frames import Frames
from vdd_ros.datasets.lerobot_meta import (
    FILES_PER_CHUNK,
    PATTERN,
    EpisodeRows,
    info_of,
    write_json,
    write_tasks,
)
from vdd_ros.datasets.lerobot_statistics import Statistics, statistics_of
from vdd_ros.datasets.parquet_files import ParquetFiles
from vdd_ros.datasets.taken import Taken
from vdd_ros.datasets.video_files import Codec, VideoFiles
from vdd_ros.manifest import Manifest

STATE, ACTION, VELOCITY = "observation.state", "action", "observation.velocity"
DONE, SUCCESS = "next.done", "next.success"
PICTURE = "observation.images.{camera}"
PICTURE_BYTES = 32 << 20  # of pixels, whose pictures are written at a time
COUNTED = ("frame_index", "episode_index", "index", "task_index")


def write_lerobot(
    folder: Path,
    taken: Taken,
    dtype: str,
    file_mb: int,
    video: Codec | None,
    report: Callable[[int, int], None],
) -> tuple[LeRobotFormat, list[str], list[str]]:
    """Write the dataset; returns how it is read again, the name of each recording, and what of it
    was rounded. dtype: float32 or float64 of its numbers; file_mb: largest data file [MiB]; video:
    codec of the pictures, None for files."""
    features = _features(taken, dtype)
    pictured = {PICTURE.format(camera=name): name for name in taken.cameras}
    films = {key: _films(folder, taken, key, name, video) for key, name in pictured.items()
             if video is not None}  # fmt: skip
    spoilt: Counter[str] = Counter()
    tasks = list(dict.fromkeys(map(instruction, taken.manifests)))
    data = ParquetFiles(folder, f"data/{PATTERN}.parquet", file_mb, FILES_PER_CHUNK)
    rows = EpisodeRows(folder, file_mb)
    whole: dict[str, Statistics] = {}
    first = 0
    for index, frames in enumerate(taken.frames()):
        told = instruction(frames.manifest)
        task = tasks.index(told)
        values = _values(taken, frames, index, first, task, features)
        shown = {key: taken.pictures(frames, name) for key, name in pictured.items()}
        table = _table(values, features)
        places: dict[str, Any] = {}
        if shown and not films:
            chunk, file = _write_pictured(data, table, shown, taken)
        else:
            chunk, file = data.write(table)
            for key, film in films.items():
                places |= film.write(shown[key].pixels())
        own = {key: statistics_of(array) for key, array in values.items()}
        own |= {key: one.statistics() for key, one in shown.items()}
        spoilt.update({pictured[key]: one.spoilt for key, one in shown.items()})
        whole = {key: one.with_those_of(whole.get(key)) for key, one in own.items()}
        rows.add(
            {
                "episode_index": index,
                "tasks": [told],
                "length": len(frames),
                "data/chunk_index": chunk,
                "data/file_index": file,
                "dataset_from_index": first,
                "dataset_to_index": first + len(frames),
                **places,
            },
            own,
        )
        first += len(frames)
        report(index + 1, len(taken))
    data.close()
    rows.close()
    for film in films.values():
        film.close()
    write_tasks(folder, tasks)
    write_json(folder / "meta/stats.json", {key: one.plain() for key, one in whole.items()})
    features |= {
        key: films[key].feature() if films else _picture_feature(taken, name)
        for key, name in pictured.items()
    }
    write_json(folder / "meta/info.json", info_of(taken, features, first, len(tasks), file_mb))
    lost = [f"what {video} leaves out of the pictures of camera {name}" for name in taken.cameras
            if films]  # fmt: skip
    lost += [
        f"camera {name}: {count} that cannot be read" for name, count in spoilt.items() if count
    ]
    if dtype == "float32" and (error := taken.rounding):
        lost.append(f"digits: numbers are rounded to float32, by {error:.1g} at most")
    names = [f"episode_{index:06d}" for index in range(len(taken))]
    return _layout(taken), names, lost


def instruction(manifest: Manifest) -> str:
    """The task as one would tell it."""
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
        images={name: PICTURE.format(camera=name) for name in taken.cameras},
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


def _films(folder: Path, taken: Taken, key: str, name: str, video: Codec) -> VideoFiles:
    camera, rate_hz = taken.contract.cameras[name], taken.contract.rates.policy_hz
    return VideoFiles(folder, key, video, camera.width, camera.height, rate_hz)


def _picture_feature(taken: Taken, name: str) -> dict[str, Any]:
    camera = taken.contract.cameras[name]
    names = ["height", "width", "channels"]
    return {"dtype": "image", "shape": [camera.height, camera.width, 3], "names": names}


def _write_pictured(
    data: ParquetFiles, table: Any, shown: dict[str, FramePictures], taken: Taken
) -> tuple[int, int]:
    """Write an episode with its pictures, some frames at a time; the chunk and file it is in."""
    import pyarrow as arrow

    kind = arrow.struct({"bytes": arrow.binary(), "path": arrow.string()})
    cameras = [taken.contract.cameras[name] for name in taken.cameras]
    pixels = sum(3 * one.width * one.height for one in cameras)
    at = data.place(table.nbytes + pixels * len(table))
    files = {key: pictures.files() for key, pictures in shown.items()}
    rows = max(1, PICTURE_BYTES // pixels)
    for begin in range(0, len(table), rows):
        part = table.slice(begin, rows)
        size = part.nbytes + pixels * len(part)
        for key, one in files.items():
            column = [{"bytes": file, "path": None} for file in islice(one, len(part))]
            part = part.append_column(key, arrow.array(column, kind))
        data.append(part, size)
    return at


def _table(values: dict[str, np.ndarray], features: dict[str, dict[str, Any]]) -> Any:
    import pyarrow as arrow

    columns = {}
    for key, array in values.items():
        flat = arrow.array(array.ravel())
        size = features[key]["shape"][0]
        columns[key] = flat if size == 1 else arrow.FixedSizeListArray.from_arrays(flat, size)
    return arrow.table(columns)
