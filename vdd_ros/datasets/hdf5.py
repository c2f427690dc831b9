"""Opens HDF5 files of others: arrays of numbers that are in the file itself, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from vdd_ros.datasets.bounded import require_bounded
from vdd_ros.errors import UserError


@contextmanager
def opened(path: Path, what: str) -> Iterator[Any]:
    """The group `data` of a file of demonstrations, a `what`; h5py's faults become UserError."""
    import h5py

    if not path.is_file():
        raise UserError(f"no file {path}: name an HDF5 file of {what} demonstrations")
    try:
        with h5py.File(path, "r") as file:
            if not isinstance(file.get("data"), h5py.Group):
                raise UserError(f"{path} has no group 'data'; name a {what} demonstration")
            yield file
    # h5py's own words for what a damaged file makes of types and sizes
    except (OSError, RuntimeError, LookupError, TypeError, ValueError) as error:
        raise UserError(f"{path} is not readable HDF5 ({error}); restore it") from None


def in_order(group: Any) -> list[str]:
    """Names of demonstrations, by the number that each ends with."""
    return sorted(group, key=_number)


def _number(name: str) -> tuple[int, str]:
    digits = re.search(r"(\d+)$", name)
    return (int(digits[1]) if digits else 0, name)


def arrays_in(group: Any) -> list[str]:
    """Keys of every dataset of a demonstration, below its groups as well; links are not followed
    to other files."""
    import h5py

    found: list[str] = []

    def note(key: str, one: Any) -> None:
        if isinstance(one, h5py.Dataset):
            found.append(key)

    group.visititems(note)
    return sorted(found)


def array(where: str, group: Any, name: str) -> np.ndarray:
    """(N, ...) float64 of a dataset below a group; raises UserError where it holds no floats, is
    not in the file itself, or would not fit."""
    found = dataset(where, group, name)
    if found.dtype.kind != "f" or not found.shape:
        raise UserError(
            f"{where}: {name} is {found.dtype} of shape {found.shape}, rows of floats are read; "
            f"restore the file"
        )
    require_bounded(f"{where}: {name}", int(found.size) * max(8, found.dtype.itemsize))
    return np.asarray(found[()], dtype=np.float64)


def dataset(where: str, group: Any, name: str) -> Any:
    """A dataset below a group; raises UserError where there is none, or not in the file itself."""
    import h5py

    found = group.get(name) if isinstance(group, h5py.Group) else None
    if not isinstance(found, h5py.Dataset):
        raise UserError(f"{where} lacks {name!r}; restore the file")
    if found.file != group.file or found.external or found.is_virtual:
        raise UserError(f"{where}: {name} lies in another file; put all into one")
    return found


def matrix(where: str, group: Any, name: str) -> np.ndarray:
    """(N, D) float64, of a dataset of rows."""
    values = array(where, group, name)
    if values.ndim != 2:
        raise UserError(
            f"{where}: {name} is of shape {values.shape}, rows of floats are read; restore the file"
        )
    return values
