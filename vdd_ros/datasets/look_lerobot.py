"""First sight of a LeRobot dataset: its metadata, and the numbers of its first file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from vdd_ros.datasets.bounded import read_text
from vdd_ros.datasets.lerobot_info import Feature, Info, plain_names
from vdd_ros.datasets.lerobot_pictures import IMAGE, VIDEO
from vdd_ros.datasets.lerobot_table import first_line, require_parquet_bounded
from vdd_ros.datasets.sight import Pair, Row, Sight, between, declaration
from vdd_ros.errors import UserError
from vdd_ros.yaml_file import first_fault

READ = ("v2.1", "v3.0")
STATE, ACTION = "observation.state", "action"  # LeRobot's own names for them
STATISTICS = ("meta/stats.json", "meta/episodes_stats.jsonl")


def look_at_lerobot(folder: Path, joints: Sequence[str]) -> Sight:
    """Features, their ranges in the first data file, and a declaration where one is read."""
    path = folder / "meta" / "info.json"
    try:
        info = Info.model_validate_json(read_text(path))
    except ValidationError as error:
        raise UserError(f"{path}: {first_fault(error)}; restore it") from None
    except OSError as error:
        raise UserError(f"{path} is not readable ({error}); restore it") from None
    version = info.codebase_version
    files = sorted(folder.glob("data/*/*.parquet"))
    told = [
        f"LeRobot {version}, {info.total_episodes} episodes, {info.total_frames} frames, fps "
        f"{info.fps:g}, {len(files)} data files"
    ]
    if version not in READ:
        told.append(f"read are {' and '.join(READ)}: convert it with LeRobot's own scripts")
    if not any((folder / name).exists() for name in STATISTICS):
        told.append("statistics are missing")
    for key, feature in info.features.items():
        if feature.dtype in (VIDEO, IMAGE):
            told.append(
                f"{key} are pictures ({feature.dtype}, {feature.shape}): the format's images say "
                f"of which camera, as {{CAMERA: {key}}}"
            )
    seen = {}
    if files:
        told.append(f"ranges are those of {files[0].relative_to(folder)}")
        seen = _seen(files[0], info)
    rows = tuple(_row(key, feature, seen.get(key)) for key, feature in info.features.items())
    return Sight(tuple(told), rows, _declaration(folder, info, rows, joints))


def _seen(path: Path, info: Info) -> dict[str, np.ndarray]:
    """(N, D) of the features of numbers in one file."""
    import pyarrow as arrow
    from pyarrow import parquet

    try:
        require_parquet_bounded(path)
        there = parquet.read_schema(path).names
        table = parquet.read_table(path, columns=[key for key in info.features if key in there])
        values = {key: table[key].to_pylist() for key in table.column_names}
    except (arrow.ArrowException, OSError, ValueError) as error:
        raise UserError(f"{path} is not readable ({first_line(error)}); restore it") from None
    seen = {}
    for key, rows in values.items():
        try:
            seen[key] = np.array(rows, dtype=np.float64).reshape(len(rows), -1)
        except (TypeError, ValueError):
            continue  # texts, images, rows of unlike lengths
    return seen


def _row(key: str, feature: Feature, values: np.ndarray | None) -> Row:
    names = plain_names(feature)
    is_list = isinstance(names, list) and all(isinstance(name, str) for name in names)
    shape = tuple(feature.shape)
    if values is None or not len(values):
        return Row(key, "", shape, names=tuple(names) if is_list else ())
    low, high = values.min(0), values.max(0)
    return Row(
        key,
        "numbers",
        shape,
        rows=len(values),
        names=tuple(names) if is_list else (),
        low=tuple(low.tolist()),
        high=tuple(high.tolist()),
    )


def _declaration(folder: Path, info: Info, rows: tuple[Row, ...], joints: Sequence[str]) -> str:
    by_key = {row.key: row for row in rows}
    if info.codebase_version not in READ or not {STATE, ACTION} <= set(by_key):
        return ""
    state, command = by_key[STATE], by_key[ACTION]
    layout: dict[str, Any] = {
        "kind": f"lerobot_{info.codebase_version}",
        "state": STATE,
        "action": ACTION,
    }
    names, told = state.names, command.names
    if not names:
        names = tuple(f"number{at}" for at in range(len(state.low)))
        told = names
        layout["names"] = list(names)
    pairs = []
    for at, name in enumerate(names):
        seen = between(state.low[at], state.high[at]) if at < len(state.low) else "not seen"
        pairs.append(Pair(name, name if name in told else "???", seen))
    episodes = info.total_episodes or 0
    return declaration(layout, folder.resolve().name, episodes, info.fps, pairs, joints)
