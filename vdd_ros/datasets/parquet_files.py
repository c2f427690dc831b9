"""ParquetFiles: tables that go into numbered files of a limited size, as LeRobot numbers them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

MIB = 1 << 20


class ParquetFiles:
    """pattern: path below `folder` with chunk_index and file_index; limit_mb: size that a file is
    not to pass [MiB], unless a single table does; per_chunk: files in a folder."""

    def __init__(self, folder: Path, pattern: str, limit_mb: int, per_chunk: int):
        self._folder, self._pattern = folder, pattern
        self._limit, self._per_chunk = limit_mb * MIB, per_chunk
        self._number = 0
        self._written = 0  # bytes of tables in the file that is open, before compression
        self._writer: Any = None
        self._path = folder

    def place(self, size: int) -> tuple[int, int]:
        """Chunk and file that a table of `size` bytes goes into next."""
        if self._writer is not None and self._file_size(size) >= self._limit:
            self.close()
            self._number += 1
        return divmod(self._number, self._per_chunk)

    def _file_size(self, further: int) -> float:
        """Of the open file after `further` bytes of tables that compress as those before."""
        size = self._path.stat().st_size
        return size * (1.0 + further / max(1, self._written))

    def append(self, table: Any, size: int | None = None) -> None:
        """Write a table to the place that was told last; size: by which it counts [bytes], where
        what `place` is told is no size of tables."""
        from pyarrow import parquet

        if self._writer is None:
            chunk, file = divmod(self._number, self._per_chunk)
            self._path = self._folder / self._pattern.format(chunk_index=chunk, file_index=file)
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = parquet.ParquetWriter(self._path, table.schema, compression="snappy")
            self._written = 0
        self._writer.write_table(table)
        self._written += table.nbytes if size is None else size

    def write(self, table: Any) -> tuple[int, int]:
        """Write a table; returns the chunk and the file that it is in."""
        at = self.place(table.nbytes)
        self.append(table)
        return at

    def close(self) -> None:
        """Finish the open file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
