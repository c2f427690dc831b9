"""Frames of LeRobot's formats: parquet files as arrays, held against what was noted of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import JsonValue

from vdd_ros.datasets.bounded import MOST_BYTES, require_bounded
from vdd_ros.datasets.formats import LeRobotFormat
from vdd_ros.errors import UserError
from vdd_ros.poses import poses_of_fields

NUMBERS = ("timestamp", "frame_index", "episode_index")
STATISTICS_TOLERANCE = 1e-4  # of float32 sums; a unit or a column in the wrong place is far more


class Tables:
    """Rows of episodes in parquet files that hold several: of a file the row groups that the
    episode asked for last lies in, and which episode each row is of."""

    def __init__(self, features: dict[str, int], numbers: tuple[str, ...]):
        self._features, self._numbers = features, numbers
        self._path: Path | None = None
        self._episodes, self._begins = np.zeros(0), np.zeros(0, dtype=np.int64)
        self._groups: list[int] | None = None
        self._read: dict[str, Any] = {}

    def of(self, path: Path, episode: int) -> tuple[dict[str, Any], int]:
        """An episode's rows, as `read_table` has them, and the number of the first in the file."""
        if path != self._path:
            self._path, self._groups, self._read = None, None, {}
            read_table(path, self._features, self._numbers, ())  # or say what is wrong with it
            self._episodes = read_table(path, {}, ("episode_index",))["episode_index"]
            self._begins, self._path = _begins(path), path
        rows = np.flatnonzero(self._episodes == episode)
        first = int(rows[0]) if len(rows) else 0
        groups = sorted({int(at) for at in np.searchsorted(self._begins, rows, "right") - 1})
        if groups != self._groups:
            self._read = {}  # before the next ones are there
            self._read = read_table(path, self._features, self._numbers, groups)
            self._groups = groups
        own = self._read["episode_index"] == episode
        return {name: values[own] for name, values in self._read.items()}, first


def _begins(path: Path) -> np.ndarray:
    """(G,) the first row of every row group."""
    from pyarrow import parquet

    described = parquet.read_metadata(path)
    sizes = [described.row_group(at).num_rows for at in range(described.num_row_groups)]
    return np.cumsum([0, *sizes])[:-1]


def read_table(
    path: Path,
    features: dict[str, int],
    numbers: tuple[str, ...],
    groups: Sequence[int] | None = None,
) -> dict[str, Any]:
    """Columns of a parquet file, or of some of its row groups: features as (N, size) float64,
    numbers as (N,)."""
    import pyarrow as arrow
    from pyarrow import parquet

    try:
        if not path.is_file():
            raise UserError(
                f"{path} is missing; restore it, or take the episode out of the metadata"
            )
        require_parquet_bounded(path, {*features, *numbers})
        found = parquet.read_schema(path).names
        missing = [name for name in (*features, *numbers) if name not in found]
        if missing:
            raise UserError(
                f"{path} lacks the column {missing[0]!r}, there are {', '.join(found)}; restore "
                f"the file"
            )
        columns = [*features, *numbers]
        with parquet.ParquetFile(path) as file:
            every = range(file.num_row_groups)
            table = file.read_row_groups(every if groups is None else groups, columns=columns)
        rows: dict[str, Any] = {}
        for name in numbers:
            rows[name] = np.asarray(table[name].to_numpy())
            if rows[name].dtype.kind not in "fiub":
                raise UserError(f"{path}: column {name!r} holds no numbers; restore the file")
        for name, size in features.items():
            rows[name] = _matrix(path, name, table[name], size)
    except (arrow.ArrowException, OSError, ValueError) as error:
        raise UserError(f"{path} is not readable ({first_line(error)}); restore it") from None
    return rows


def require_parquet_bounded(path: Path, wanted: Collection[str] | None = None) -> None:
    """Raise UserError where a parquet file, or the columns of it that are wanted, would unpack to
    more than is read."""
    from pyarrow import parquet

    described = parquet.read_metadata(path)
    groups = [described.row_group(at) for at in range(described.num_row_groups)]
    columns = [
        column
        for group in groups
        for column in map(group.column, range(group.num_columns))
        if wanted is None or column.path_in_schema.split(".")[0] in wanted
    ]
    # run-length encoding makes many values of few bytes
    values = sum(max(0, column.num_values) for column in columns)
    unpacked = sum(max(0, column.total_uncompressed_size) for column in columns)
    require_bounded(str(path), max(8 * values, unpacked, described.num_rows), MOST_BYTES)


def _matrix(path: Path, feature: str, column: Any, size: int) -> np.ndarray:
    """(N, size) float64."""
    import pyarrow as arrow
    from pyarrow import compute

    if not len(column):
        return np.zeros((0, size))
    column = column.combine_chunks()
    if size == 1 and arrow.types.is_floating(column.type) and not column.null_count:
        return np.asarray(column.to_numpy(), dtype=np.float64)[:, None]
    is_list = hasattr(column.type, "value_type") and arrow.types.is_floating(column.type.value_type)
    if is_list:
        lengths = compute.list_value_length(column).fill_null(0).to_numpy(zero_copy_only=False)
        values = column.flatten()
        if (lengths == size).all() and not values.null_count:
            return np.asarray(values.to_numpy(), dtype=np.float64).reshape(len(column), size)
    rows = [row if isinstance(row, list) else [row] for row in column.to_pylist()]
    found = [sum(isinstance(one, float) for one in row) for row in rows]
    wrong = [at for at, row in enumerate(rows) if found[at] != size or len(row) != size]
    at = wrong[0] if wrong else 0
    raise UserError(
        f"{path}: {feature} of frame {at} has {found[at]} numbers, info.json says {size}; "
        f"restore the file"
    )


def require_frames(path: Path, frames: np.ndarray, first: int = 0) -> None:
    """Raise UserError unless an episode's frames, from row `first` of a file on, count up."""
    wrong = np.flatnonzero(frames != np.arange(len(frames)))
    if len(wrong):
        at = int(wrong[0])
        raise UserError(
            f"{path}: row {first + at} is frame {frames[at]}: frames were dropped, doubled or put "
            f"in another order; restore the file"
        )


def compare(
    path: Path,
    feature: str,
    names: list[str],
    values: np.ndarray,
    noted: dict[str, Any],
    where: str,
) -> bool:
    """Hold the values (N, D) of `path` against minimum and maximum as `where` noted them when the
    dataset was made; False where those were not noted."""
    if not len(values) or not {"min", "max"} <= set(noted):
        return False
    for which, found in (("min", values.min(0)), ("max", values.max(0))):
        bounds = noted[which]
        if not isinstance(bounds, list) or len(bounds) != len(found) or not _are_numbers(bounds):
            raise UserError(
                f"{path}: {where} has no {which} of each of the {len(found)} "
                f"numbers of {feature}; restore it or delete it"
            )
        then = np.array(bounds, dtype=np.float64)
        far = ~(np.abs(found - then) <= STATISTICS_TOLERANCE * (1.0 + np.abs(then)))
        far &= np.isfinite(found)  # what is not finite is told by the checks of values
        if far.any():
            at = int(np.flatnonzero(far)[0])
            raise UserError(
                f"{path}: {which} of {feature} {names[at]} is {found[at]:.6g}, "
                f"{where} says {then[at]:.6g}: the file was changed since, or "
                f"its columns are in another order; restore it or make the statistics anew"
            )
    return True


def _are_numbers(values: list) -> bool:
    return all(isinstance(one, int | float) and np.isfinite(one) for one in values)


def read_columns(
    rows: dict[str, Any], names: dict[str, list[str]], layout: LeRobotFormat
) -> dict[str, Any]:
    """What a recording takes from the rows of one episode, as its keyword arguments."""
    state, command = (
        dict(zip(names[feature], rows[feature].T, strict=True))
        for feature in (layout.state, layout.action)
    )
    taken = {"times_s": rows["timestamp"].astype(np.float64), "state": state, "command": command}
    if layout.velocity is not None:
        columns = rows[layout.velocity].T
        taken["velocity"] = dict(zip(names[layout.velocity], columns, strict=True))
    if layout.objects is not None:
        keys = layout.objects
        taken["objects"] = {keys.stream: poses_of_fields(rows[keys.position], rows[keys.heading])}
    return taken


def success_of(rows: dict[str, Any], layout: LeRobotFormat) -> dict[str, JsonValue]:
    """Whether the episode succeeded, as its last frame says, for the meta of a recording."""
    if layout.success is None or not len(rows[layout.success]):
        return {}
    return {"success": bool(rows[layout.success][-1])}


def first_line(error: Exception) -> str:
    """What a library says of a fault, without the lines after it."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
