"""What a disk may hold when the power goes in the middle of a sequence of operations.

The model is pessimistic, and promises no more than POSIX does:

- What was written to a file since its last fsync may be there, may be missing from any block on, or
  may be zeros, as a whole or block by block.
- A name that was made, removed or renamed in a folder since the folder's last fsync may or may not
  be; of several such changes all may be, none, the first of them, or any single one without those
  before it. Names may be there before the data are.
- A rename is done or not, never half. That much every file system with a journal promises.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from vdd_ros.commands.bench.disk_trace import Operation

BLOCK = 4096
Tree = dict[str, bytes | None]  # path -> content, None of a folder


@dataclass(eq=False)
class _File:
    now: bytearray = field(default_factory=bytearray)
    synced: bytes = b""


@dataclass(eq=False)
class _Folder:
    """now, synced: names -> what they are of."""

    now: dict[str, _File | _Folder] = field(default_factory=dict)
    synced: dict[str, _File | _Folder] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class _Change:
    """Names that changed at once, folder by folder: what they are of now, None of one that is
    gone."""

    parts: tuple[tuple[_Folder, dict[str, _File | _Folder | None]], ...]

    def apply(self, folder: _Folder, names: dict[str, _File | _Folder]) -> None:
        """Change the names of one of the folders."""
        for changed, what in self.parts:
            if changed is folder:
                for name, one in what.items():
                    names.pop(name, None)
                    if one is not None:
                        names[name] = one


class Disk:
    """A folder, as the program sees it and as far as it is certain to outlive the power."""

    def __init__(self) -> None:
        self.root = _Folder()
        self._pending: list[_Change] = []

    def do(self, operation: Operation) -> None:
        """Take one more operation."""
        kind, path = operation.kind, operation.path
        if kind == "fsync":
            self._sync(self._at(path))
        elif kind in ("write", "truncate"):
            file = self._at(path)
            assert isinstance(file, _File)
            if kind == "truncate":
                del file.now[operation.offset :]
            else:
                file.now.extend(bytes(max(0, operation.offset - len(file.now))))
                end = operation.offset + len(operation.data)
                file.now[operation.offset : end] = operation.data
        elif kind in ("mkdir", "create"):
            self._change(path, _Folder() if kind == "mkdir" else _File())
        elif kind in ("unlink", "rmdir"):
            self._change(path, None)
        elif kind == "rename":
            self._rename(path, operation.target)

    def _sync(self, one: _File | _Folder) -> None:
        if isinstance(one, _File):
            one.synced = bytes(one.now)
            return
        for change in self._pending:
            if one in (folder for folder, _ in change.parts):  # a rename is not half on the disk
                for folder in dict.fromkeys(folder for folder, _ in change.parts):
                    change.apply(folder, folder.synced)
        self._pending = [
            change for change in self._pending if one not in (folder for folder, _ in change.parts)
        ]

    def _change(self, path: str, what: _File | _Folder | None) -> None:
        self._apply(_Change(((self._parent(path), {PurePosixPath(path).name: what}),)))

    def _rename(self, path: str, target: str) -> None:
        moved, old, new = self._at(path), self._parent(path), self._parent(target)
        self._apply(
            _Change(
                (
                    (old, {PurePosixPath(path).name: None}),
                    (new, {PurePosixPath(target).name: moved}),
                )
            )
        )

    def _apply(self, change: _Change) -> None:
        for folder in dict.fromkeys(folder for folder, _ in change.parts):
            change.apply(folder, folder.now)
        self._pending.append(change)

    def _parent(self, path: str) -> _Folder:
        parent = self._at(str(PurePosixPath(path).parent))
        assert isinstance(parent, _Folder)
        return parent

    def _at(self, path: str) -> _File | _Folder:
        one: _File | _Folder = self.root
        for name in PurePosixPath(path).parts:
            assert isinstance(one, _Folder)
            one = one.now[name]
        return one

    def after_power_cut(self, rng: np.random.Generator) -> Iterator[tuple[str, Tree]]:
        """What may be there now, each with the name of its model."""
        count = len(self._pending)
        kept = {"every name": range(count), "no new name": range(0)}
        kept |= {f"the first {k} names": range(k) for k in range(1, count)}
        kept |= {f"name {k} alone": range(k, k + 1) for k in range(1, count)}
        for names, chosen in kept.items():
            done = {id(self._pending[index]) for index in chosen}
            whole = self._tree(done)
            for contents, tree in _contents(whole, rng):
                yield f"{names}, {contents}", tree

    def now(self) -> Tree:
        """What the program sees."""
        whole = self._tree({id(change) for change in self._pending})
        return {path: None if one is None else bytes(one.now) for path, one in whole.items()}

    def _tree(self, done: set[int]) -> dict[str, _File | None]:
        """Paths with those of the pending changes that are done."""

        def walk(folder: _Folder, at: PurePosixPath) -> Iterator[tuple[str, _File | None]]:
            names = dict(folder.synced)
            for change in self._pending:
                if id(change) in done:
                    change.apply(folder, names)
            for name, one in names.items():
                place = at / name
                yield str(place), one if isinstance(one, _File) else None
                if isinstance(one, _Folder):
                    yield from walk(one, place)

        return dict(walk(self.root, PurePosixPath()))


def _contents(
    tree: dict[str, _File | None], rng: np.random.Generator
) -> Iterator[tuple[str, Tree]]:
    """What may be in the files of a tree; files that are synced are as they are."""
    dirty = {
        path: one for path, one in tree.items() if one is not None and bytes(one.now) != one.synced
    }
    certain: Tree = {path: None if one is None else one.synced for path, one in tree.items()}
    yield "data as synced", certain
    if not dirty:
        return
    models: dict[str, Callable[[_File], bytes]] = {
        "all data": lambda one: bytes(one.now),
        "zeros": lambda one: _zeroed(one, None),
        "holes": lambda one: _zeroed(one, rng),
        "half of what is new": lambda one: bytes(one.now[: (_sure(one) + len(one.now)) // 2]),
    }
    for end in range(BLOCK, max(len(one.now) for one in dirty.values()), BLOCK):
        models[f"data to {end}"] = partial(_cut, end)
    for model, content in models.items():
        yield model, {**certain, **{path: content(one) for path, one in dirty.items()}}


def _cut(end: int, one: _File) -> bytes:
    return bytes(one.now[: max(end, _sure(one))])


def _sure(one: _File) -> int:
    """Bytes at the beginning that are as they were synced."""
    same = min(len(one.synced), len(one.now))
    while same and one.synced[:same] != one.now[:same]:
        same -= 1
    return same


def _zeroed(one: _File, rng: np.random.Generator | None) -> bytes:
    """With zeros for what is new: for all of it, or for blocks at random."""
    content, sure = bytearray(one.now), _sure(one)
    for begin in range(sure - sure % BLOCK, len(content), BLOCK):
        if rng is None or rng.random() < 0.5:
            start, end = max(begin, sure), min(begin + BLOCK, len(content))
            content[start:end] = bytes(end - start)
    return bytes(content)


def write(tree: Tree, root: Path) -> None:
    """Make a tree real, in an empty folder."""
    for path, content in sorted(tree.items()):
        if content is None:
            (root / path).mkdir(parents=True, exist_ok=True)
        else:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)


def digest(tree: Tree) -> bytes:
    """The same for disks that hold the same."""
    sha256 = hashlib.sha256()
    for path, content in sorted(tree.items()):
        sha256.update(repr((path, None if content is None else len(content))).encode())
        sha256.update(content or b"")
    return sha256.digest()


def read(root: Path) -> Tree:
    """A real folder as a tree."""
    return {
        str(path.relative_to(root)): None if path.is_dir() else path.read_bytes()
        for path in root.rglob("*")
    }


def without(operations: Sequence[Operation], dropped: str) -> list[Operation]:
    """The sequence of a program that does not sync `files`, or `folders`."""
    folders = {one.path for one in operations if one.kind == "mkdir"}
    folders |= {one.target for one in operations if one.kind == "rename" and one.path in folders}
    folders.add(".")
    return [
        one
        for one in operations
        if one.kind != "fsync" or (one.path in folders) != (dropped == "folders")
    ]
