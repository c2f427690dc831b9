"""Examples: windows in the network's units, in memory or, where they are too many, on disk.

On disk a row has all numbers of one example, so that a random one costs one read. A batch that is
not in the page cache is read from everywhere at once, and what was looked at is forgotten again:
memory stays bounded, however many there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from vdd_ros.normalizer import Normalizer
from vdd_ros.policies import distributed
from vdd_ros.policies.checkpoint import fingerprint
from vdd_ros.policies.tensor_file import Shape, TensorFile, TensorWriter
from vdd_ros.policies.window_source import WindowSource
from vdd_ros.policies.windows import Windows

IN_MEMORY = 512 << 20  # [bytes] of examples, as float32
LOOKED_AT = 1024  # rows, after which they are forgotten; each may have mapped 64 KiB


class Examples(NamedTuple):
    """What a teacher learns from. cond: (N, C); chunks: (N, R), normalised; tensors, or Columns."""

    cond: Tensor
    chunks: Tensor


class RowsOnDisk:
    """Rows (N, D) float32 of a file that `write_examples` made."""

    def __init__(self, path: Path):
        self.file = TensorFile(path)
        self._rows = self.file.tensors["rows"]
        self._row_bytes = 4 * self._rows.shape[1]
        self.file.at_random()
        self._looked_at = 0

    def __len__(self) -> int:
        return len(self._rows)

    def at(self, index: np.ndarray) -> np.ndarray:
        """(n,) -> (n, D), a copy."""
        self.file.fetch(self.file.base + index * self._row_bytes, self._row_bytes)
        found = self._rows.take(index, axis=0)
        self._looked_at += len(index)
        if self._looked_at >= LOOKED_AT:
            self.file.forget()
            self._looked_at = 0
        return found


class Column:
    """Some numbers of each row, indexed as a tensor is by one of integers, or by a slice."""

    def __init__(self, rows: RowsOnDisk, numbers: slice):
        self._rows, self._numbers = rows, numbers
        self.shape = (len(rows), numbers.stop - numbers.start)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Tensor | slice) -> Tensor:
        """(...) -> (..., numbers)."""
        if isinstance(index, slice):
            index = torch.arange(*index.indices(len(self)))
        found = self._rows.at(index.reshape(-1).numpy())[:, self._numbers]
        return torch.from_numpy(np.ascontiguousarray(found)).reshape(*index.shape, -1)


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
