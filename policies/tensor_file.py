"""Tensor files too large for memory: safetensors, written part by part and read where asked.

The format is that of `safetensors`: 8 bytes with the length of a JSON header, the header (type,
shape and place of each tensor), the numbers. Any reader of safetensors reads these files.
"""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import numpy as np

from vdd_ros.durable import sync_file
from vdd_ros.errors import UserError

TYPES = {
    **{"F64": np.float64, "F32": np.float32, "I64": np.int64, "I32": np.int32},
    **{"BOOL": np.bool_, "U8": np.uint8},
}
NAMES = {np.dtype(kind): name for name, kind in TYPES.items()}


class Shape(NamedTuple):
    """What a tensor is going to be."""

    kind: type
    shape: tuple[int, ...]


class TensorWriter:
    """Writes a file beside its place, each tensor in as many parts as wanted, and renames it there
    at the end; within a `with` block, and after an error nothing is left."""

    def __init__(self, path: Path, shapes: Mapping[str, Shape]):
        self.path = path
        self._part = path.with_name(f"{path.name}.{os.getpid()}.part")
        header, self._next, end = {}, {}, 0
        for name, (kind, shape) in shapes.items():
            dtype = np.dtype(kind)
            begin, end = end, end + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
            places = {"shape": list(shape), "data_offsets": [begin, end]}
            header[name] = {"dtype": NAMES[dtype], **places}
            self._next[name] = begin
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        self._kinds = {name: np.dtype(kind) for name, (kind, _) in shapes.items()}
        self._ends = {name: header[name]["data_offsets"][1] for name in shapes}
        self._file = self._part.open("wb")
        self._file.write(len(text).to_bytes(8, "little") + text)
        self._base = self._file.tell()

    def write(self, name: str, rows: np.ndarray) -> None:
        """Append rows to what was written of a tensor."""
        data = np.ascontiguousarray(rows, dtype=self._kinds[name]).data
        self._file.seek(self._base + self._next[name])
        self._next[name] += self._file.write(data)

    def __enter__(self) -> TensorWriter:
        return self

    def __exit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                if self._next != self._ends:
                    raise ValueError(f"tensors of {self.path} were not written whole")
                sync_file(self._file)
                self._file.close()
                self._part.replace(self.path)
        finally:
            self._file.close()
            self._part.unlink(missing_ok=True)


class TensorFile:
    """A file that is mapped into memory: what is looked at is read, and what is not is not.

    Pages that were looked at count as this process's memory until `forget`. Raises UserError when
    the file is missing or damaged.
    """

    def __init__(self, path: Path):
        self.path = path
        try:
            self._file = path.open("rb")
        except FileNotFoundError:
            raise UserError(f"{path} is missing; train anew") from None
        try:
            self.header, base = _header(self._file)
            self._map = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
            self.tensors = {
                name: self._view(base, **places) for name, places in self.header.items()
            }
        except (ValueError, KeyError, TypeError) as error:
            self._file.close()
            raise UserError(f"{path} is damaged ({error}); train anew") from None
        self.base = base  # where the first tensor begins

    def _view(self, base: int, dtype: str, shape: list[int], data_offsets: list[int]) -> np.ndarray:
        kind = np.dtype(TYPES[dtype])
        begin, end = data_offsets
        count = int(np.prod(shape, dtype=np.int64))
        if end - begin != count * kind.itemsize or base + end > len(self._map):
            raise ValueError("it ends within a tensor")
        if count == 0:
            return np.zeros(shape, kind)
        return np.frombuffer(self._map, kind, count, base + begin).reshape(shape)

    def forget(self) -> None:
        """Let the kernel take back the memory of what was looked at; views stay valid."""
        self._map.madvise(mmap.MADV_DONTNEED)


def _header(file) -> tuple[dict, int]:
    """What a file says is in it, and where its numbers begin."""
    length = int.from_bytes(file.read(8), "little")
    if not 0 < length <= os.fstat(file.fileno()).st_size - 8:
        raise ValueError("it ends within its header")
    header = json.loads(file.read(length))
    return {name: at for name, at in header.items() if name != "__metadata__"}, 8 + length


def read_whole(path: Path) -> dict[str, np.ndarray]:
    """All tensors of a file, in memory; raises UserError when it is missing or damaged."""
    file = TensorFile(path)
    return {name: tensor.copy() for name, tensor in file.tensors.items()}
