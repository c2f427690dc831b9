"""Files that survive a power cut, and folders that belong to one process while it lives."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import shutil
from pathlib import Path
from typing import IO

AT_FDCWD, RENAME_EXCHANGE = -100, 2  # of renameat2(2)


def write_text(path: Path, text: str) -> None:
    """Write a file that is on the disk, not only in memory, on return."""
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        sync_file(file)


def replace_text(path: Path, text: str) -> None:
    """Write a file that is always whole: its readers see the one before or this one."""
    part = path.with_name(f".{path.name}.{os.getpid()}")  # several processes may replace it
    try:
        write_text(part, text)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    sync_folder(path.parent)


def create_text(path: Path, text: str) -> None:
    """Write a file that is whole from its first moment; raises FileExistsError where there is one
    already, also one that another process made meanwhile."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write_text(part, text)
        os.link(part, path)
    finally:
        part.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_file(file: IO) -> None:
    """Bring what was written to an open file to the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Bring a folder's own entries to the disk; syncing its files does not."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing; all are on the disk on return.

    A folder that was just made is an entry of the one above, and can vanish with all that is in it.
    """
    made = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for one in made:
        sync_folder(one.parent)


def place_folder(fresh: Path, folder: Path) -> None:
    """Rename a folder to `folder`; another one in its place is exchanged with it, so that there is
    one at any moment, and removed."""
    try:
        fresh.rename(folder)
    except OSError as error:  # who looked first could be too late: another process places one, too
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        _replace(fresh, folder)
    sync_folder(folder.parent)


def _replace(fresh: Path, folder: Path) -> None:
    """Exchange two folders, and remove what was in place of the first."""
    if _exchange(fresh, folder):
        shutil.rmtree(fresh)
        return
    old = fresh.with_name(f"{fresh.name}.old")  # of rare file systems, which cannot exchange
    folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old)


def _exchange(one: Path, other: Path) -> bool:
    """Whether the kernel and the file system can exchange two names, and did (renameat2(2))."""
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:  # a C library that lacks it
        return False
    names = os.fsencode(one), os.fsencode(other)
    return call(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE) == 0


def link_or_copy(source: Path, target: Path) -> None:
    """One file in another place, in a folder that is made where it is missing; without a copy where
    the file system can."""
    target.parent.mkdir(exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def lock_folder(folder: Path) -> int | None:
    """Hold a folder for this process until `os.close` of the result; None while another holds it.

    The kernel lets go of it when the process ends, however it ends.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
