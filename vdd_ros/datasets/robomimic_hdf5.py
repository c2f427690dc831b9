"""Reads an HDF5 file of robomimic's layout: arrays by key, without names, units or times."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import JsonValue

from vdd_ros.datasets.formats import RobomimicFormat
from vdd_ros.datasets.hdf5 import array, arrays_in, in_order, matrix, opened
from vdd_ros.datasets.hdf5_pictures import InHdf5
from vdd_ros.datasets.recording import OneAtATime, Recording
from vdd_ros.datasets.source import Source
from vdd_ros.errors import UserError
from vdd_ros.poses import poses_of_fields

COLUMN = re.compile(r"(?P<key>[^\[\]]+)\[(?P<at>\d+)\]")  # obs/robot0_joint_pos[3]


def read_robomimic(path: Path, source: Source, layout: RobomimicFormat) -> OneAtATime[Recording]:
    """Every demonstration that is declared, read when it is asked for; raises UserError where the
    file is another."""
    if layout.file is not None and path.is_dir():
        path = path / layout.file
    with opened(path, "robomimic") as file:
        _check_env(path, file["data"].attrs, source, layout)
        names = _chosen(path, file, layout)
        if source.episodes not in (None, len(names)):
            raise UserError(
                f"{path} holds {len(names)} demonstrations, the source declares "
                f"{source.episodes}: restore what is missing or correct the number"
            )
        keys = _keys(source)

    def recording(number: int) -> Recording:
        with opened(path, "robomimic") as file:
            return _read(path, names[number], file["data"][names[number]], source, layout, keys)

    return OneAtATime(len(names), recording)


def _chosen(path: Path, file: Any, layout: RobomimicFormat) -> list[str]:
    there = in_order(file["data"])
    if layout.mask is None:
        return there
    masks = file.get("mask")
    if masks is None or layout.mask not in masks:
        known = ", ".join(masks) if masks is not None else "none"
        raise UserError(
            f"{path} has no filter key {layout.mask!r}, there are: {known}; correct the declaration"
        )
    named = [one.decode() if isinstance(one, bytes) else str(one) for one in masks[layout.mask][()]]
    if unknown := sorted(set(named) - set(there)):
        raise UserError(
            f"{path}: filter key {layout.mask!r} names {unknown[0]!r}, which is not there; restore "
            f"the file"
        )
    return [name for name in there if name in named]


def _check_env(path: Path, attributes: Any, source: Source, layout: RobomimicFormat) -> None:
    """What env_args says, where they are there, against what is declared."""
    try:
        told = json.loads(attributes["env_args"]) if "env_args" in attributes else {}
        env, kwargs = told.get("env_name"), told.get("env_kwargs") or {}
        rate_hz = kwargs.get("control_freq")
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path}: attribute env_args of 'data' is damaged ({error}); restore it"
        ) from None
    if layout.env is not None and env != layout.env:
        raise UserError(
            f"{path}: env_args say env_name {env!r}, the source declares {layout.env!r}: name the "
            f"right file or correct the declaration"
        )
    if rate_hz is not None and rate_hz != source.rate_hz:
        raise UserError(
            f"{path}: env_args say control_freq {rate_hz!r}, the source declares rate_hz "
            f"{source.rate_hz:g}: find out which is true and correct the other"
        )


def _keys(source: Source) -> dict[str, list[int]]:
    """Array -> places in it that are declared, as columns or ignored."""
    columns = [channel.state.name for channel in source.channels]
    columns += [channel.command.name for channel in source.channels]
    keys: dict[str, list[int]] = {}
    for column in (*columns, *source.ignored):
        found = COLUMN.fullmatch(column)
        if found is None:
            raise UserError(
                f"column {column!r} names no number of an array: write it as "
                f"obs/robot0_joint_pos[0], the array's key below a demonstration and a place in it"
            )
        keys.setdefault(found["key"], []).append(int(found["at"]))
    return keys


def _read(
    path: Path,
    name: str,
    group: Any,
    source: Source,
    layout: RobomimicFormat,
    keys: dict[str, list[int]],
) -> Recording:
    where = f"{path}, {name}"
    arrays = {key: matrix(where, group, key) for key in keys}
    length = len(next(iter(arrays.values())))
    for key, values in arrays.items():
        _require_declared(where, key, values.shape[1], keys[key])
        _require_length(where, key, len(values), length)
    if (told := group.attrs.get("num_samples")) is not None and told != length:
        raise UserError(
            f"{where}: {next(iter(arrays))} has {length} rows, num_samples is {told}; restore the "
            f"file"
        )
    velocity = {}
    for position, key in layout.velocity.items():
        values = matrix(where, group, key)
        _require_length(where, key, len(values), length)
        velocity |= {f"{position}[{at}]": column for at, column in enumerate(values.T)}
    columns = {
        f"{key}[{at}]": column
        for key, values in arrays.items()
        for at, column in enumerate(values.T)
    }
    return Recording(
        name=name,
        where=where,
        times_s=_times(where, group, source, layout, length),
        state=columns,
        command=columns,
        velocity=velocity,
        objects=_objects(where, group, layout, length),
        notes=() if layout.times else (f"no times: frames are taken for {source.rate_hz:g} Hz",),
        meta=_success(where, group, layout),
        not_read=_not_read(group, layout, keys),
        pictures={
            camera: InHdf5.of(path, name, group, key, length)
            for camera, key in layout.images.items()
        },
    )


def _not_read(group: Any, layout: RobomimicFormat, keys: dict[str, list[int]]) -> tuple[str, ...]:
    known = {*keys, *layout.velocity.values(), layout.times, layout.success, "dones"}
    known |= set(layout.images.values())
    if layout.objects is not None:
        known |= {layout.objects.position, layout.objects.heading}
    return tuple(key for key in arrays_in(group) if key not in known)


def _require_declared(where: str, key: str, size: int, declared: list[int]) -> None:
    unknown = sorted(set(declared) - set(range(size)))
    undeclared = sorted(set(range(size)) - set(declared))
    if unknown or undeclared:
        raise UserError(
            f"{where}: {key} has {size} numbers: not declared {undeclared}, not in the file "
            f"{unknown}; declare every one with its unit, or name it under ignored"
        )


def _require_length(where: str, key: str, found: int, length: int) -> None:
    if found != length:
        raise UserError(f"{where}: {key} has {found} rows, others have {length}; restore the file")


def _times(
    where: str, group: Any, source: Source, layout: RobomimicFormat, length: int
) -> np.ndarray:
    if layout.times is None:
        return np.arange(length) / source.rate_hz
    times_s = array(where, group, layout.times).ravel()
    _require_length(where, layout.times, len(times_s), length)
    return times_s


def _objects(where: str, group: Any, layout: RobomimicFormat, length: int) -> dict[str, np.ndarray]:
    if layout.objects is None:
        return {}
    keys = layout.objects
    position, heading = (matrix(where, group, key) for key in (keys.position, keys.heading))
    for key, values, size in ((keys.position, position, 3), (keys.heading, heading, 2)):
        _require_length(where, key, len(values), length)
        if values.shape[1] % size:
            raise UserError(
                f"{where}: {key} has {values.shape[1]} numbers, which are not {size} for each "
                f"object; correct the declaration"
            )
    return {keys.stream: poses_of_fields(position, heading)}


def _success(where: str, group: Any, layout: RobomimicFormat) -> dict[str, JsonValue]:
    """Whether the demonstration succeeded, where that is declared and told."""
    key = layout.success
    if key is None:
        return {}
    if key in group.attrs:
        return {"success": bool(group.attrs[key])}
    if key not in group:
        return {}
    values = array(where, group, key).ravel()
    return {"success": bool(len(values) and values[-1] == 1.0)}
