"""A file for HDF5 to write to, on a disk that may be full."""

from __future__ import annotations

import os
from pathlib import Path


class Sink:
    """What h5py needs of an open binary file, which is made. HDF5 cannot close a file that refuses
    it anything, and ends the process where one raises: after the first refusal all else goes
    nowhere, and `require_whole` tells it."""

    def __init__(self, path: Path):
        self._number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        self._place = 0
        self._fault: OSError | None = None

    def require_whole(self) -> None:
        """Raise the first OSError that there was; to be asked again when HDF5 has closed."""
        if self._fault is not None:
            raise self._fault

    def close(self) -> None:
        os.close(self._number)

    def write(self, data: bytes) -> int:
        left = memoryview(data)
        try:
            while self._fault is None and len(left):
                count = os.pwrite(self._number, left, self._place + len(data) - len(left))
                left = left[count:]
        except OSError as error:
            self._fault = error
        self._place += len(data)
        return len(data)

    def read(self, size: int) -> bytes:
        """So many bytes, zeros where nothing was written."""
        found = b""
        try:
            found = os.pread(self._number, size, self._place)
        except OSError as error:
            self._fault = self._fault or error
        self._place += size
        return found.ljust(size, b"\0")

    def truncate(self, size: int) -> int:
        try:
            if self._fault is None:
                os.ftruncate(self._number, size)
        except OSError as error:
            self._fault = error
        return size

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place}.get(whence)
        self._place = offset + (os.fstat(self._number).st_size if start is None else start)
        return self._place

    def tell(self) -> int:
        return self._place

    def flush(self) -> None:
        """Nothing waits."""
