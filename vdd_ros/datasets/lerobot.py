"""Reads a dataset in LeRobot's format v2.1: one parquet file per episode, metadata in JSON lines.

What the metadata says is compared with what the files hold: counts, lengths, frame numbers and,
where they are there, the statistics of every episode.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from vdd_ros.datasets.recording import Recording
from vdd_ros.datasets.source import LeRobotFormat, Source
from vdd_ros.errors import UserError

VERSION = "v2.1"
STATISTICS_TOLERANCE = 1e-4  # of float32 sums; a unit or a column in the wrong place is far more


def read_lerobot(folder: Path, source: Source, layout: LeRobotFormat) -> list[Recording]:
    """Every episode of the dataset; raises UserError where files and metadata do not agree."""
    info = _json(folder / "meta" / "info.json")
    names = _checked_info(folder / "meta" / "info.json", info, source, layout)
    rows = _json_lines(folder / "meta" / "episodes.jsonl", ("episode_index", "length"))
    _check_count(folder, info, rows, source)
    statistics, notes = _statistics(folder / "meta" / "episodes_stats.jsonl")
    return [_read(folder, info, row, layout, names, statistics, notes) for row in rows]


def _checked_info(
    path: Path, info: dict, source: Source, layout: LeRobotFormat
) -> dict[str, list[str]]:
    """Column names of both features."""
    if info.get("codebase_version") != VERSION:
        raise UserError(
            f"{path}: codebase_version is {info.get('codebase_version')!r}, {VERSION!r} is read: "
            f"convert the dataset with LeRobot's own scripts"
        )
    if info.get("fps") != source.rate_hz:
        raise UserError(
            f"{path}: fps is {info.get('fps')!r}, but the source declares rate_hz "
            f"{source.rate_hz:g}: find out which is true and correct the other"
        )
    for key in ("data_path", "chunks_size", "features"):
        if key not in info:
            raise UserError(f"{path} lacks {key!r}; restore the file")
    columns = {
        layout.state: [channel.state.name for channel in source.channels],
        layout.action: [channel.command.name for channel in source.channels],
    }
    return {feature: _names(path, info, feature, used) for feature, used in columns.items()}


def _names(path: Path, info: dict, feature: str, used: list[str]) -> list[str]:
    if feature not in info["features"]:
        raise UserError(
            f"{path}: no feature {feature!r}, there are {', '.join(sorted(info['features']))}: "
            f"correct the declaration"
        )
    described = info["features"][feature]
    names = described.get("names")
    while isinstance(names, list) and len(names) == 1 and isinstance(names[0], list):
        names = names[0]  # LeRobot's converters nest them
    if not isinstance(names, list) or described.get("shape") != [len(names)]:
        raise UserError(
            f"{path}: {feature} has shape {described.get('shape')} and the names {names!r:.60}; "
            f"restore one name for each number"
        )
    unknown = sorted(set(used) - set(names))
    undeclared = sorted(set(names) - set(used))
    if unknown or undeclared or len(set(names)) != len(names):
        raise UserError(
            f"{path}: the names of {feature} are not those declared: not declared {undeclared}, "
            f"not in the file {unknown}; declare every channel with its unit, once"
        )
    return names


def _check_count(folder: Path, info: dict, rows: list[dict], source: Source) -> None:
    path = folder / "meta" / "episodes.jsonl"
    indices = [row["episode_index"] for row in rows]
    if indices != list(range(len(rows))):
        raise UserError(f"{path}: episodes are numbered {indices!r:.60}; restore 0, 1, 2, ...")
    declared = {"info.json": info.get("total_episodes"), "the source": source.episodes}
    for who, count in declared.items():
        if count is not None and count != len(rows):
            raise UserError(
                f"{path} lists {len(rows)} episodes, {who} says {count}: restore what is missing "
                f"or correct the number"
            )
    frames = sum(row["length"] for row in rows)
    if info.get("total_frames") not in (None, frames):
        raise UserError(
            f"{path}: lengths sum to {frames} frames, info.json says {info['total_frames']}: "
            f"restore the one that is wrong"
        )


def _statistics(path: Path) -> tuple[dict[int, dict], tuple[str, ...]]:
    if not path.exists():
        return {}, (f"{path.name} is missing: values were not compared with statistics",)
    rows = _json_lines(path, ("episode_index", "stats"))
    return {row["episode_index"]: row["stats"] for row in rows}, ()


def _read(
    folder: Path,
    info: dict,
    row: dict,
    layout: LeRobotFormat,
    names: dict[str, list[str]],
    statistics: dict[int, dict],
    notes: tuple[str, ...],
) -> Recording:
    index = row["episode_index"]
    path = _file(folder, info, index)
    table = _table(path, tuple(names), ("timestamp", "frame_index", "episode_index"))
    if len(table["timestamp"]) != row["length"]:
        raise UserError(
            f"{path} has {len(table['timestamp'])} frames, meta/episodes.jsonl says "
            f"{row['length']}: restore the file"
        )
    if (table["episode_index"] != index).any():
        at = int(np.flatnonzero(table["episode_index"] != index)[0])
        raise UserError(
            f"{path}: frame {at} belongs to episode {table['episode_index'][at]}, the file is that "
            f"of {index}: restore the file"
        )
    _check_frames(path, table["frame_index"])
    values = {
        feature: _matrix(path, feature, table[feature], len(names[feature])) for feature in names
    }
    for feature in names:
        _compare(path, feature, names[feature], values[feature], statistics.get(index, {}))
    state, command = (
        dict(zip(names[feature], values[feature].T, strict=True))
        for feature in (layout.state, layout.action)
    )
    return Recording(
        name=path.stem,
        where=str(path),
        times_s=table["timestamp"].astype(np.float64),
        state=state,
        command=command,
        notes=notes,
        meta={"instruction": "; ".join(row.get("tasks", []))},
    )


def _file(folder: Path, info: dict, index: int) -> Path:
    try:
        chunk = index // info["chunks_size"]
        return folder / info["data_path"].format(episode_chunk=chunk, episode_index=index)
    except (KeyError, IndexError, ValueError, TypeError, ArithmeticError, AttributeError):
        raise UserError(
            f"{folder / 'meta' / 'info.json'}: data_path {info['data_path']!r} with chunks_size "
            f"{info['chunks_size']!r} names no file; restore both"
        ) from None


def _table(path: Path, features: tuple[str, ...], numbers: tuple[str, ...]) -> dict[str, Any]:
    """Lists of rows for features, arrays for numbers."""
    import pyarrow as arrow
    from pyarrow import parquet

    if not path.is_file():
        raise UserError(f"{path} is missing; restore it, or take the episode out of the metadata")
    try:
        table = parquet.read_table(path)
    except (arrow.ArrowException, OSError) as error:
        raise UserError(f"{path} is not readable ({_first_line(error)}); restore it") from None
    missing = [name for name in (*features, *numbers) if name not in table.column_names]
    if missing:
        raise UserError(
            f"{path} lacks the column {missing[0]!r}, there are {', '.join(table.column_names)}; "
            f"restore the file"
        )
    rows = {name: table[name].to_pylist() for name in features}
    return rows | {name: table[name].to_numpy() for name in numbers}


def _check_frames(path: Path, frames: np.ndarray) -> None:
    wrong = np.flatnonzero(frames != np.arange(len(frames)))
    if len(wrong):
        at = int(wrong[0])
        raise UserError(
            f"{path}: row {at} is frame {frames[at]}: frames were dropped, doubled or put in "
            f"another order; restore the file"
        )


def _matrix(path: Path, feature: str, rows: list[Any], size: int) -> np.ndarray:
    """(N, size) float64."""
    for at, row in enumerate(rows):
        if row is None or len(row) != size or any(value is None for value in row):
            found = "no" if row is None else f"{sum(value is not None for value in row)}"
            raise UserError(
                f"{path}: {feature} of frame {at} has {found} numbers, info.json says {size}; "
                f"restore the file"
            )
    return np.array(rows, dtype=np.float64).reshape(len(rows), size)


def _compare(
    path: Path, feature: str, names: list[str], values: np.ndarray, statistics: dict
) -> None:
    """Hold the values against minimum and maximum as they were when the dataset was made."""
    if feature not in statistics or not len(values):
        return
    for which, found in (("min", values.min(0)), ("max", values.max(0))):
        noted = np.array(statistics[feature].get(which, found), dtype=np.float64)
        if noted.shape != found.shape:
            raise UserError(
                f"{path}: meta/episodes_stats.jsonl has {noted.size} numbers for {feature}, the "
                f"file {found.size}; restore the one that is wrong"
            )
        far = ~(np.abs(found - noted) <= STATISTICS_TOLERANCE * (1.0 + np.abs(noted)))
        far &= np.isfinite(found)  # what is not finite is told by the checks of values
        if far.any():
            at = int(np.flatnonzero(far)[0])
            raise UserError(
                f"{path}: {which} of {feature} {names[at]} is {found[at]:.6g}, "
                f"meta/episodes_stats.jsonl says {noted[at]:.6g}: the file was changed since, or "
                f"its columns are in another order; restore it or make the statistics anew"
            )


def _json(path: Path) -> dict:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"no {path}: name the folder of a LeRobot {VERSION} dataset") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is not readable JSON ({error}); restore it") from None
    if not isinstance(found, dict):
        raise UserError(f"{path} is not a JSON object; restore it")
    return found


def _json_lines(path: Path, keys: tuple[str, ...]) -> list[dict]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise UserError(f"{path} is missing; restore it") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not readable ({error}); restore it") from None
    rows = []
    for number, line in enumerate(filter(str.strip, lines), start=1):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UserError(f"{path}, line {number}: not JSON ({error}); restore it") from None
        missing = [key for key in keys if not isinstance(row, dict) or key not in row]
        if missing:
            raise UserError(f"{path}, line {number}: lacks {missing[0]!r}; restore it")
        rows.append(row)
    return rows


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
