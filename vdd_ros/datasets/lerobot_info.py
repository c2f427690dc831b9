"""meta/info.json of LeRobot's formats: version, rate, counts, names of features' numbers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, ValidationError

from vdd_ros.datasets.bounded import read_text
from vdd_ros.datasets.formats import LeRobotFormat
from vdd_ros.datasets.json_part import JsonPart
from vdd_ros.datasets.source import Source
from vdd_ros.errors import UserError
from vdd_ros.yaml_file import first_fault

COUNTED = ("timestamp", "frame_index", "episode_index", "index", "task_index", "next.done")


class Feature(JsonPart):
    """names: one for each number; converters nest them in a list or in a mapping; info: of a video,
    how it was made."""

    shape: list[int]
    names: Any = None
    dtype: str = ""
    info: dict[str, Any] | None = None


class Info(JsonPart):
    """meta/info.json, as far as it is read."""

    codebase_version: str
    fps: float
    data_path: str
    video_path: str | None = None
    chunks_size: int = Field(gt=0)
    features: dict[str, Feature]
    total_episodes: int | None = None
    total_frames: int | None = None


def read_info(folder: Path, version: str, source: Source) -> Info:
    """meta/info.json of a dataset of that version; raises UserError where it is another."""
    path = folder / "meta" / "info.json"
    try:
        info = Info.model_validate_json(read_text(path))
    except FileNotFoundError:
        raise UserError(f"no {path}: name the folder of a LeRobot {version} dataset") from None
    except OSError as error:
        raise UserError(f"{path} is not readable ({error}); restore it") from None
    except ValidationError as error:
        raise UserError(f"{path}: {first_fault(error)}; restore it") from None
    if info.codebase_version != version:
        raise UserError(
            f"{path}: codebase_version is {info.codebase_version!r}, {version!r} is read: declare "
            f"the format's kind lerobot_{info.codebase_version} where that is v2.1 or v3.0, or "
            f"convert the dataset with LeRobot's own scripts"
        )
    if info.fps != source.rate_hz:
        raise UserError(
            f"{path}: fps is {info.fps:g}, but the source declares rate_hz {source.rate_hz:g}: "
            f"find out which is true and correct the other"
        )
    return info


def names_of(folder: Path, info: Info, source: Source, layout: LeRobotFormat) -> dict[str, list]:
    """Feature -> the names of its numbers, of those that are read."""
    path = folder / "meta" / "info.json"
    used = {
        layout.state: [channel.state.name for channel in source.channels],
        layout.action: [channel.command.name for channel in source.channels],
    }
    names = {feature: _names(path, info, feature, layout.names) for feature in used}
    for feature, found in names.items():
        unknown = sorted(set(used[feature]) - set(found))
        undeclared = sorted(set(found) - set(used[feature]) - set(source.ignored))
        if unknown or undeclared or len(set(found)) != len(found):
            raise UserError(
                f"{path}: the names of {feature} are not those declared: not declared "
                f"{undeclared}, not in the file {unknown}; declare every column with its unit, "
                f"once, or name it under ignored"
            )
    if layout.velocity is not None:
        names[layout.velocity] = _names(path, info, layout.velocity, tuple(names[layout.state]))
        if names[layout.velocity] != names[layout.state]:
            raise UserError(
                f"{path}: {layout.velocity} has other names than {layout.state}: declare another "
                f"velocity, or none"
            )
    for feature in (
        () if layout.objects is None else (layout.objects.position, layout.objects.heading)
    ):
        _require_feature(path, info, feature)
        names[feature] = [str(at) for at in range(int(np.prod(info.features[feature].shape)))]
    return names


def not_read(info: Info, names: Iterable[str], layout: LeRobotFormat) -> tuple[str, ...]:
    """Features of the dataset that are neither read nor LeRobot's own counting."""
    read = {*names, layout.success, *layout.images.values(), *COUNTED}
    return tuple(sorted({*info.features} - read))


def path_in(folder: Path, info: Info, which: str, **numbers: object) -> Path:
    """A file of the dataset, by the pattern `data_path` or `video_path`; raises UserError where
    that names none."""
    pattern = getattr(info, which)
    try:
        return folder / pattern.format(**numbers)
    except (LookupError, ValueError, TypeError, AttributeError):
        raise UserError(
            f"{folder / 'meta' / 'info.json'}: {which} {pattern!r} names no file; restore it"
        ) from None


def _require_feature(path: Path, info: Info, feature: str) -> None:
    if feature not in info.features:
        raise UserError(
            f"{path}: no feature {feature!r}, there are {', '.join(sorted(info.features))}: "
            f"correct the declaration"
        )


def _names(path: Path, info: Info, feature: str, declared: tuple[str, ...] | None) -> list[str]:
    _require_feature(path, info, feature)
    described = info.features[feature]
    names = plain_names(described)
    if names is None and declared is not None:
        names = list(declared)
    is_list = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not is_list or described.shape != [len(names)]:
        raise UserError(
            f"{path}: {feature} has shape {described.shape} and the names {names!r:.60}; restore "
            f"one name for each number, or declare the format's names where there are none"
        )
    return names


def plain_names(described: Feature) -> Any:
    """A feature's names, of which LeRobot's converters nest the list."""
    names = described.names
    while isinstance(names, list | dict) and len(names) == 1:
        inner = names[0] if isinstance(names, list) else next(iter(names.values()))
        if not isinstance(inner, list):
            break
        names = inner
    return names


def require_counts(
    path: Path, indices: list[int], lengths: list[int], info: Info, source: Source
) -> None:
    """Raise UserError unless the episodes that `path` lists are those told elsewhere."""
    if indices != list(range(len(indices))):
        raise UserError(f"{path}: episodes are numbered {indices!r:.60}; restore 0, 1, 2, ...")
    declared = {"info.json": info.total_episodes, "the source": source.episodes}
    for who, count in declared.items():
        if count is not None and count != len(indices):
            raise UserError(
                f"{path} lists {len(indices)} episodes, {who} says {count}: restore what is "
                f"missing or correct the number"
            )
    frames = sum(lengths)
    if info.total_frames not in (None, frames):
        raise UserError(
            f"{path}: lengths sum to {frames} frames, info.json says {info.total_frames}: restore "
            f"the one that is wrong"
        )
