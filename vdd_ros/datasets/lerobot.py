"""Reads a dataset in LeRobot's format v2.1: one parquet file per episode, metadata in JSON lines.

What the metadata says is compared with what the files hold: counts, lengths, frame numbers and,
where they are there, the statistics of every episode.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vdd_ros.datasets.recording import Recording
from vdd_ros.datasets.source import LeRobotFormat, Source
from vdd_ros.errors import UserError
from vdd_ros.yaml_file import first_fault

VERSION = "v2.1"


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class Feature(_Part):
    """names: one for each number; converters nest them in a list or in a mapping."""

    shape: list[int]
    names: Any = None


class Info(_Part):
    """meta/info.json, as far as it is read."""

    codebase_version: str
    fps: float
    data_path: str
    chunks_size: Annotated[int, Field(gt=0)]
    features: dict[str, Feature]
    total_episodes: int | None = None
    total_frames: int | None = None


class Row(_Part):
    """One line of meta/episodes.jsonl."""

    episode_index: int
    length: Annotated[int, Field(ge=0)]
    tasks: list[str] = []


class Statistics(_Part):
    """One line of meta/episodes_stats.jsonl; of images it holds deeper lists than are read."""

    episode_index: int
    stats: dict[str, dict[str, Any]]


Line = TypeVar("Line", Row, Statistics)
STATISTICS_TOLERANCE = 1e-4  # of float32 sums; a unit or a column in the wrong place is far more


def read_lerobot(folder: Path, source: Source, layout: LeRobotFormat) -> list[Recording]:
    """Every episode of the dataset; raises UserError where files and metadata do not agree."""
    path = folder / "meta" / "info.json"
    info = _info(path)
    _check_info(path, info, source)
    columns = {
        layout.state: [channel.state.name for channel in source.channels],
        layout.action: [channel.command.name for channel in source.channels],
    }
    names = {
        feature: _names(path, info, feature, used, source.ignored)
        for feature, used in columns.items()
    }
    rows = _lines(folder / "meta" / "episodes.jsonl", Row)
    _check_count(folder, info, rows, source)
    path = folder / "meta" / "episodes_stats.jsonl"
    lines = _lines(path, Statistics) if path.exists() else []
    statistics = {line.episode_index: line.stats for line in lines}
    return [_read(folder, info, row, layout, names, statistics) for row in rows]


def _check_info(path: Path, info: Info, source: Source) -> None:
    if info.codebase_version != VERSION:
        raise UserError(
            f"{path}: codebase_version is {info.codebase_version!r}, {VERSION!r} is read: convert "
            f"the dataset with LeRobot's own scripts"
        )
    if info.fps != source.rate_hz:
        raise UserError(
            f"{path}: fps is {info.fps:g}, but the source declares rate_hz {source.rate_hz:g}: "
            f"find out which is true and correct the other"
        )


def _names(
    path: Path, info: Info, feature: str, used: list[str], ignored: tuple[str, ...]
) -> list[str]:
    if feature not in info.features:
        raise UserError(
            f"{path}: no feature {feature!r}, there are {', '.join(sorted(info.features))}: "
            f"correct the declaration"
        )
    described = info.features[feature]
    names = described.names
    while isinstance(names, list | dict) and len(names) == 1:
        inner = names[0] if isinstance(names, list) else next(iter(names.values()))
        if not isinstance(inner, list):
            break
        names = inner  # LeRobot's converters nest them
    is_list = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not is_list or described.shape != [len(names)]:
        raise UserError(
            f"{path}: {feature} has shape {described.shape} and the names {names!r:.60}; restore "
            f"one name for each number"
        )
    unknown = sorted(set(used) - set(names))
    undeclared = sorted(set(names) - set(used) - set(ignored))
    if unknown or undeclared or len(set(names)) != len(names):
        raise UserError(
            f"{path}: the names of {feature} are not those declared: not declared {undeclared}, "
            f"not in the file {unknown}; declare every column with its unit, once, or "
            f"name it under ignored"
        )
    return names


def _check_count(folder: Path, info: Info, rows: list[Row], source: Source) -> None:
    path = folder / "meta" / "episodes.jsonl"
    indices = [row.episode_index for row in rows]
    if indices != list(range(len(rows))):
        raise UserError(f"{path}: episodes are numbered {indices!r:.60}; restore 0, 1, 2, ...")
    declared = {"info.json": info.total_episodes, "the source": source.episodes}
    for who, count in declared.items():
        if count is not None and count != len(rows):
            raise UserError(
                f"{path} lists {len(rows)} episodes, {who} says {count}: restore what is missing "
                f"or correct the number"
            )
    frames = sum(row.length for row in rows)
    if info.total_frames not in (None, frames):
        raise UserError(
            f"{path}: lengths sum to {frames} frames, info.json says {info.total_frames}: restore "
            f"the one that is wrong"
        )


def _read(
    folder: Path,
    info: Info,
    row: Row,
    layout: LeRobotFormat,
    names: dict[str, list[str]],
    statistics: dict[int, dict],
) -> Recording:
    index = row.episode_index
    path = _file(folder, info, index)
    table = _table(path, tuple(names), ("timestamp", "frame_index", "episode_index"))
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
    _check_frames(path, table["frame_index"])
    values = {
        feature: _matrix(path, feature, table[feature], len(names[feature])) for feature in names
    }
    unknown = [
        feature
        for feature in names
        if not _compare(path, feature, names[feature], values[feature], statistics.get(index, {}))
    ]
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
        notes=tuple(f"no statistics to compare {feature} with" for feature in unknown),
        meta={"instruction": "; ".join(row.tasks)},
    )


def _file(folder: Path, info: Info, index: int) -> Path:
    try:
        chunk = index // info.chunks_size
        return folder / info.data_path.format(episode_chunk=chunk, episode_index=index)
    except (LookupError, ValueError, TypeError, AttributeError):
        raise UserError(
            f"{folder / 'meta' / 'info.json'}: data_path {info.data_path!r} names no file; "
            f"restore it"
        ) from None


def _table(path: Path, features: tuple[str, ...], numbers: tuple[str, ...]) -> dict[str, Any]:
    """Lists of rows for features, arrays for numbers."""
    import pyarrow as arrow
    from pyarrow import parquet

    try:
        if not path.is_file():
            raise UserError(
                f"{path} is missing; restore it, or take the episode out of the metadata"
            )
        found = parquet.read_schema(path).names
        missing = [name for name in (*features, *numbers) if name not in found]
        if missing:
            raise UserError(
                f"{path} lacks the column {missing[0]!r}, there are {', '.join(found)}; restore "
                f"the file"
            )
        table = parquet.read_table(path, columns=[*features, *numbers])
        rows: dict[str, Any] = {name: table[name].to_pylist() for name in features}
        for name in numbers:
            rows[name] = np.asarray(table[name].to_numpy())
            if rows[name].dtype.kind not in "fiu":
                raise UserError(f"{path}: column {name!r} holds no numbers; restore the file")
    except (arrow.ArrowException, OSError, ValueError) as error:
        raise UserError(f"{path} is not readable ({_first_line(error)}); restore it") from None
    return rows


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
        values = row if isinstance(row, list) else []
        if len(values) != size or not all(isinstance(value, float) for value in values):
            found = sum(isinstance(value, float) for value in values)
            raise UserError(
                f"{path}: {feature} of frame {at} has {found} numbers, info.json says {size}; "
                f"restore the file"
            )
    return np.array(rows, dtype=np.float64).reshape(len(rows), size)


def _compare(
    path: Path, feature: str, names: list[str], values: np.ndarray, statistics: dict[str, dict]
) -> bool:
    """Hold the values against minimum and maximum as they were when the dataset was made; False
    where those were not noted."""
    noted = statistics.get(feature, {})
    if not len(values) or not {"min", "max"} <= set(noted):
        return False
    for which, found in (("min", values.min(0)), ("max", values.max(0))):
        bounds = noted[which]
        if not isinstance(bounds, list) or len(bounds) != len(found) or not _are_numbers(bounds):
            raise UserError(
                f"{path}: meta/episodes_stats.jsonl has no {which} of each of the {len(found)} "
                f"numbers of {feature}; restore it or delete it"
            )
        then = np.array(bounds, dtype=np.float64)
        far = ~(np.abs(found - then) <= STATISTICS_TOLERANCE * (1.0 + np.abs(then)))
        far &= np.isfinite(found)  # what is not finite is told by the checks of values
        if far.any():
            at = int(np.flatnonzero(far)[0])
            raise UserError(
                f"{path}: {which} of {feature} {names[at]} is {found[at]:.6g}, "
                f"meta/episodes_stats.jsonl says {then[at]:.6g}: the file was changed since, or "
                f"its columns are in another order; restore it or make the statistics anew"
            )
    return True


def _are_numbers(values: list) -> bool:
    return all(isinstance(one, int | float) and np.isfinite(one) for one in values)


def _info(path: Path) -> Info:
    try:
        return Info.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"no {path}: name the folder of a LeRobot {VERSION} dataset") from None
    except OSError as error:
        raise UserError(f"{path} is not readable ({error}); restore it") from None
    except ValidationError as error:
        raise UserError(f"{path}: {first_fault(error)}; restore it") from None


def _lines(path: Path, kind: type[Line]) -> list[Line]:
    try:
        lines = path.read_bytes().split(b"\n")
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


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
