"""Metadata of a dataset in LeRobot's format v3.0, as it is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vdd_ros.datasets.lerobot_statistics import Statistics
from vdd_ros.datasets.parquet_files import ParquetFiles
from vdd_ros.datasets.taken import Taken

VERSION = "v3.0"
FILES_PER_CHUNK = 1000
EPISODES_PER_WRITE = 100
PATTERN = "chunk-{chunk_index:03d}/file-{file_index:03d}"
VIDEO_PATTERN = f"videos/{{video_key}}/{PATTERN}.mp4"
VIDEO_MB = 200  # from which on the next episode begins another video file, as LeRobot has it


class EpisodeRows:
    """meta/episodes: a row per episode, with its statistics, written as they come."""

    def __init__(self, folder: Path, file_mb: int):
        self._files = ParquetFiles(
            folder, f"meta/episodes/{PATTERN}.parquet", file_mb, FILES_PER_CHUNK
        )
        self._block: list[dict[str, Any]] = []

    def add(self, row: dict[str, Any], statistics: dict[str, Statistics]) -> None:
        flat = {
            f"stats/{key}/{which}": numbers
            for key, one in statistics.items()
            for which, numbers in one.plain().items()
        }
        self._block.append(row | flat)
        if len(self._block) == EPISODES_PER_WRITE:
            self._write()

    def close(self) -> None:
        if self._block:
            self._write()
        self._files.close()

    def _write(self) -> None:
        import pyarrow as arrow

        chunk, file = self._files.place(arrow.Table.from_pylist(self._block).nbytes)
        for row in self._block:
            row |= {"meta/episodes/chunk_index": chunk, "meta/episodes/file_index": file}
        self._files.append(arrow.Table.from_pylist(self._block))
        self._block = []


def write_tasks(folder: Path, tasks: list[str]) -> None:
    """A table that pandas reads with the tasks as its index, as LeRobot's own is."""
    import pyarrow as arrow
    from pyarrow import parquet

    index = "__index_level_0__"
    described = {
        "index_columns": [index],
        "column_indexes": [
            {
                "name": None,
                "field_name": None,
                "pandas_type": "unicode",
                "numpy_type": "object",
                "metadata": {"encoding": "UTF-8"},
            }
        ],
        "columns": [
            {
                "name": "task_index",
                "field_name": "task_index",
                "pandas_type": "int64",
                "numpy_type": "int64",
                "metadata": None,
            },
            {
                "name": None,
                "field_name": index,
                "pandas_type": "unicode",
                "numpy_type": "object",
                "metadata": None,
            },
        ],
        "pandas_version": "2.0.0",
    }
    table = arrow.table({"task_index": list(range(len(tasks))), index: tasks})
    table = table.replace_schema_metadata({"pandas": json.dumps(described)})
    parquet.write_table(table, folder / "meta/tasks.parquet")


def info_of(
    taken: Taken, features: dict[str, dict[str, Any]], frames: int, tasks: int, file_mb: int
) -> dict[str, Any]:
    """What meta/info.json says."""
    has_videos = any(one["dtype"] == "video" for one in features.values())
    rate_hz = taken.contract.rates.policy_hz
    return {
        "codebase_version": VERSION,
        "robot_type": taken.contract.name,
        "total_episodes": len(taken),
        "total_frames": frames,
        "total_tasks": tasks,
        "chunks_size": FILES_PER_CHUNK,
        "data_files_size_in_mb": file_mb,
        "video_files_size_in_mb": VIDEO_MB,
        "fps": int(rate_hz) if rate_hz == int(rate_hz) else rate_hz,
        "splits": {"train": f"0:{len(taken)}"},
        "data_path": f"data/{PATTERN}.parquet",
        "video_path": VIDEO_PATTERN if has_videos else None,
        "features": features,
    }


def write_json(path: Path, value: dict) -> None:
    """A file of metadata; its folder is made where it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=4, ensure_ascii=False, allow_nan=False) + "\n")
