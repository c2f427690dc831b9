"""The operations by which a program changes a folder, written down while they are done.

Files are recorded below Python's buffers, where each write is a call of the system. That nothing
went past the record is found by doing it all again elsewhere and comparing (`disk_crashes`).
"""

from __future__ import annotations

import builtins
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple
from unittest import mock

Kind = Literal["mkdir", "create", "write", "truncate", "fsync", "rename", "unlink", "rmdir", "said"]


class Operation(NamedTuple):
    """path: seen from the folder that is watched. write: `data` at `offset`; truncate: to `offset`
    bytes; rename: to `target`; said: what was told to whoever recorded, `target` its name."""

    kind: Kind
    path: str
    offset: int = 0
    data: bytes = b""
    target: str = ""


class Trace:
    """The operations in a folder, in order."""

    def __init__(self, root: Path):
        self.root = root.resolve()
        self.operations: list[Operation] = []

    def say(self, name: str) -> None:
        """Note that somebody was told that an episode is saved."""
        self.operations.append(Operation("said", ".", target=name))

    def note(self, kind: Kind, path: Any, dir_fd: int | None = None, **more: Any) -> None:
        """Add an operation, if it is in the folder that is watched."""
        place = self.place_of(path, dir_fd)
        if place is not None:
            self.operations.append(Operation(kind, place, **more))

    def place_of(self, path: Any, dir_fd: int | None = None) -> str | None:
        """A path or descriptor as seen from the folder; None where it is not in it."""
        if isinstance(path, int):
            path = Path(f"/proc/self/fd/{path}").readlink()
        elif dir_fd is not None:
            path = Path(f"/proc/self/fd/{dir_fd}").readlink() / path
        whole = Path(path).absolute()
        return str(whole.relative_to(self.root)) if whole.is_relative_to(self.root) else None


class _TracedFile(io.FileIO):
    """A file whose every call of `write` and `truncate` is noted."""

    def __init__(self, trace: Trace, path: Any, mode: str):
        there = os.path.lexists(path)
        super().__init__(path, mode)
        self._trace, self._path, self._appends = trace, Path(path).absolute(), "a" in mode
        if not there:
            trace.note("create", self._path)
        elif "w" in mode:
            trace.note("truncate", self._path)

    def write(self, data: Any, /) -> int:
        offset = os.fstat(self.fileno()).st_size if self._appends else self.tell()
        count = super().write(data)
        if count:
            written = bytes(memoryview(data).cast("B")[:count])
            self._trace.note("write", self._path, offset=offset, data=written)
        return count

    def truncate(self, size: int | None = None, /) -> int:
        length = super().truncate(size)
        self._trace.note("truncate", self._path, offset=length)
        return length


@contextmanager
def traced(root: Path) -> Iterator[Trace]:
    """Note what this process does to a folder while the context lasts."""
    trace = Trace(root)
    real_open = io.open

    def open_(file: Any, mode: str = "r", buffering: int = -1, *rest: Any, **more: Any) -> Any:
        writes = set(mode) & set("wax+")
        if not writes or isinstance(file, int) or trace.place_of(file) is None:
            return real_open(file, mode, buffering, *rest, **more)
        raw = _TracedFile(trace, file, mode.replace("b", "").replace("t", ""))
        if buffering == 0:
            return raw
        buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, *rest, **more)

    def noting(name: str, kind: Kind) -> Callable[..., Any]:
        real = getattr(os, name)

        def call(path: Any, *rest: Any, dir_fd: int | None = None, **more: Any) -> Any:
            # what a descriptor is of has to be asked before
            place = trace.place_of(path, dir_fd)
            if dir_fd is not None:
                more["dir_fd"] = dir_fd
            done = real(path, *rest, **more)
            if place is not None:
                trace.operations.append(Operation(kind, place))
            return done

        return call

    def renaming(name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def call(source: Any, target: Any, **more: Any) -> Any:
            real(source, target, **more)
            place = trace.place_of(target)
            trace.note("rename", source, target=place or "")

        return call

    kinds: dict[str, Kind] = {
        "mkdir": "mkdir", "unlink": "unlink", "remove": "unlink", "rmdir": "rmdir", "fsync": "fsync"
    }  # fmt: skip
    patches = [mock.patch.object(os, name, noting(name, kind)) for name, kind in kinds.items()]
    patches += [mock.patch.object(os, name, renaming(name)) for name in ("rename", "replace")]
    patches += [mock.patch.object(place, "open", open_) for place in (io, builtins)]
    for patch in patches:
        patch.start()
    try:
        yield trace
    finally:
        for patch in patches:
            patch.stop()
