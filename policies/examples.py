"""Examples: windows in the network's units, in memory or, where they are too many, on disk.

On disk a row has all numbers of one example, so that a random one costs one read. What the page
cache has not of a batch is read from everywhere at once. Memory is that of a batch, however many
examples there are; the page cache is the system's, which takes it back when it needs it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from vdd_ros.errors import UserError
from vdd_ros.normalizer import Normalizer
from vdd_ros.policies import distributed
from vdd_ros.policies.checkpoint import fingerprint
from vdd_ros.policies.tensor_file import Shape, TensorFile, TensorWriter
from vdd_ros.policies.window_source import WindowSource
from vdd_ros.policies.windows import Windows

IN_MEMORY = 512 << 20  # [bytes] of examples, as float32


class Examples(NamedTuple):
    """What a teacher learns from. cond: (N, C); chunks: (N, R), normalised; tensors, or Columns."""

    cond: Tensor
    chunks: Tensor


class RowsOnDisk:
    """Rows (N, D) float32 of a file that `write_examples` made."""

    def __init__(self, path: Path):
        whole = TensorFile(path)
        self._count, self._size = whole.tensors["rows"].shape
        self._base = whole.base
        self._file = path.open("rb")
        self._last = np.zeros(0, np.int64), np.zeros((0, self._size), np.float32)
        os.posix_fadvise(self._file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)  # nothing is read ahead

    def __len__(self) -> int:
        return self._count

    def at(self, index: np.ndarray) -> np.ndarray:
        """(n,) -> (n, D). What was asked last is kept: columns of one batch are asked in turn."""
        if not np.array_equal(index, self._last[0]):
            self._last = index.copy(), self._read(index)
        return self._last[1]

    def span(self, begin: int, end: int) -> np.ndarray:
        """(end - begin, D), one after the other."""
        found = np.empty((end - begin, self._size), np.float32)
        self._fill(self._base + begin * 4 * self._size, found)
        return found

    def _read(self, index: np.ndarray) -> np.ndarray:
        found = np.empty((len(index), self._size), np.float32)
        places = (self._base + index * 4 * self._size).tolist()
        rows = list(zip(places, found, strict=True))
        missing = [(place, row) for place, row in rows if not self._is_read_at_once(place, row)]
        for place, row in missing:  # the disk has all of them before it is waited for
            os.posix_fadvise(self._file.fileno(), place, row.nbytes, os.POSIX_FADV_WILLNEED)
        for place, row in missing:
            self._fill(place, row)
        return found

    def _is_read_at_once(self, place: int, row: np.ndarray) -> bool:
        """Read a row if the page cache has it."""
        try:
            return os.preadv(self._file.fileno(), [row.data], place, os.RWF_NOWAIT) == row.nbytes
        except OSError:  # it has not, or the file system cannot tell
            return False

    def _fill(self, place: int, rows: np.ndarray) -> None:
        if os.preadv(self._file.fileno(), [rows.data], place) != rows.nbytes:
            raise UserError(f"{self._file.name} ends too early: train anew")

    def drop(self) -> None:
        """Put the file out of the page cache."""
        self._last = self._last[0][:0], self._last[1][:0]
        os.posix_fadvise(self._file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class Column:
    """Some numbers of each row, indexed as a tensor is by one of integers, or by a slice without a
    step."""

    def __init__(self, rows: RowsOnDisk, numbers: slice):
        self._rows, self._numbers = rows, numbers
        self.shape = (len(rows), numbers.stop - numbers.start)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Tensor | slice) -> Tensor:
        """(...) -> (..., numbers)."""
        if isinstance(index, slice):
            begin, end, _ = index.indices(len(self))
            found, shape = self._rows.span(begin, end), (end - begin,)
        else:
            found, shape = self._rows.at(index.reshape(-1).numpy()), tuple(index.shape)
        return torch.from_numpy(np.ascontiguousarray(found[:, self._numbers])).reshape(*shape, -1)


def fit_normalizer(
    source: WindowSource, rank: int, rng: np.random.Generator, degree: int
) -> Normalizer:
    """`Normalizer.fit` of all windows of a source."""
    one = source.read(source.chosen[0])
    steps, newest = one.observations.shape[1:]
    terms = 1 + steps * newest + (newest**2 if degree == 2 else 0)
    row_bytes = _bytes_a_row(terms, source.horizon * one.actions.shape[1])

    def blocks() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return ((block.observations, block.chunks) for block in source.blocks(row_bytes))

    return Normalizer.fit_blocks(blocks, rank, rng, degree)


def examples_of(normalizer: Normalizer, source: WindowSource, folder: Path) -> Examples:
    """The examples of all windows of a source; on disk they are in a file in `folder`, which is
    made unless it is there."""
    sizes = normalizer.sizes[1:]
    if 4 * sum(sizes) * len(source) <= IN_MEMORY:
        parts = [to_examples(normalizer, one) for one in _blocks(normalizer, source)]
        return Examples(*(torch.cat(both) for both in zip(*parts, strict=True)))
    path = examples_file(normalizer, folder)
    if distributed.is_first() and not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_examples(path, normalizer, source)
    distributed.wait()
    return columns(RowsOnDisk(path), *sizes)


def examples_file(normalizer: Normalizer, folder: Path) -> Path:
    """Named for the normalizer, which is of all windows it was fitted on."""
    return folder / f"examples-{fingerprint(normalizer.to_dict())}.safetensors"


def columns(rows: RowsOnDisk, cond: int, chunk: int) -> Examples:
    """Rows of so many numbers each, as examples."""
    both = Column(rows, slice(0, cond)), Column(rows, slice(cond, cond + chunk))
    return Examples(*(cast(Tensor, one) for one in both))


def write_examples(path: Path, normalizer: Normalizer, source: WindowSource) -> None:
    """One block of windows is in memory at a time."""
    shape = (len(source), sum(normalizer.sizes[1:]))
    with TensorWriter(path, {"rows": Shape(np.float32, shape)}) as writer:
        for block in _blocks(normalizer, source):
            writer.write("rows", torch.cat(to_examples(normalizer, block), dim=1).numpy())


def _blocks(normalizer: Normalizer, source: WindowSource) -> Iterator[Windows]:
    return source.blocks(_bytes_a_row(*normalizer.reference.shape))


def _bytes_a_row(terms: int, chunk: int) -> int:
    """Memory that the reference of a window and what is left of its chunk need."""
    return 8 * (2 * terms + 4 * chunk)


def to_examples(normalizer: Normalizer, windows: Windows) -> Examples:
    """Windows in the network's units, float32."""
    cond = normalizer.features(windows.observations)
    chunks = normalizer.normalize(windows.chunks, windows.observations)
    return Examples(
        torch.tensor(cond, dtype=torch.float32), torch.tensor(chunks, dtype=torch.float32)
    )
