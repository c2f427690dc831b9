"""First sight of an HDF5 file: every array of its first demonstration."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vdd_ros.datasets.bounded import MOST_BYTES
from vdd_ros.datasets.hdf5 import in_order, opened
from vdd_ros.datasets.sight import Pair, Row, Sight, between, declaration
from vdd_ros.errors import UserError

MOST_ATTRIBUTE = 200  # characters that are shown of one
DEEPEST = 8


def look_at_hdf5(path: Path, joints: Sequence[str]) -> Sight:
    """Arrays with their shapes and ranges, attributes, and a declaration of robomimic's layout."""
    with opened(path, "robosuite or robomimic") as file:
        data = file["data"]
        names = in_order(data)
        if not names:
            raise UserError(f"{path} holds no demonstration; name another file")
        told = [f"HDF5, {len(names)} demonstrations, {names[0]} is shown"]
        told += [f"data: {key} = {_shown(value)}" for key, value in sorted(data.attrs.items())]
        first = data[names[0]]
        told += [
            f"{names[0]}: {key} = {_shown(value)}" for key, value in sorted(first.attrs.items())
        ]
        if "mask" in file:
            told.append(f"filter keys: {', '.join(file['mask'])}")
        rows = tuple(_rows(first))
        rate_hz = _rate(data.attrs)
    if "env_info" in data_keys(told) and not any(row.key.startswith("obs/") for row in rows):
        told.append("robosuite's own demonstrations: config/sources/robosuite_lift.yaml is one")
        return Sight(tuple(told), rows, "")
    return Sight(tuple(told), rows, _declaration(path, len(names), rate_hz, rows, joints))


def data_keys(told: Sequence[str]) -> set[str]:
    """Attributes of the group `data` among what was told."""
    return {line.removeprefix("data: ").split(" = ")[0] for line in told if line[:6] == "data: "}


def _shown(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= MOST_ATTRIBUTE else f"{text[:MOST_ATTRIBUTE]}..."


def _rate(attributes: Any) -> float | None:
    try:
        rate_hz = json.loads(attributes["env_args"])["env_kwargs"]["control_freq"]
        return float(rate_hz)
    except (KeyError, ValueError, TypeError):
        return None


def _rows(group: Any, prefix: str = "", depth: int = 0) -> Iterator[Row]:
    import h5py

    for name in group if depth < DEEPEST else ():
        item, key = group.get(name), f"{prefix}{name}"
        if isinstance(item, h5py.Group):
            yield from _rows(item, f"{key}/", depth + 1)
        elif isinstance(item, h5py.Dataset):
            yield _row(key, item)


def _row(key: str, found: Any) -> Row:
    kind, shape = str(found.dtype), tuple(found.shape)
    count = shape[0] if shape else None
    is_read = found.dtype.kind in "fiub" and not found.external and not found.is_virtual
    if not is_read or len(shape) > 2 or not found.size or found.size * 8 > MOST_BYTES:
        return Row(key, kind, shape[1:], count)
    values = np.asarray(found[()], dtype=np.float64).reshape(count or 1, -1)
    low, high = tuple(values.min(0).tolist()), tuple(values.max(0).tolist())
    return Row(key, kind, shape[1:], count, low=low, high=high)


def _declaration(
    path: Path, count: int, rate_hz: float | None, rows: tuple[Row, ...], joints: Sequence[str]
) -> str:
    """A channel for every number of `actions`: which array is its joint's position nobody sees."""
    actions = next((row for row in rows if row.key == "actions" and row.low), None)
    if actions is None:
        return ""
    pairs = [
        Pair("obs/???[0]", f"actions[{at}]", f"command {between(low, high)}")
        for at, (low, high) in enumerate(zip(actions.low, actions.high, strict=True))
    ]
    return declaration({"kind": "robomimic_hdf5"}, path.name, count, rate_hz, pairs, joints)
