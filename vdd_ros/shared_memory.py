"""What killed ROS programs leave in shared memory, told apart from what is in use.

Fast DDS gives each participant of a machine a segment, and each of its ports a queue, a semaphore
and a lock that the reader holds while it lives. Who is killed removes none of them, and the next
participant on that port takes the queue over as it stands: now and then it hears nothing then, or
only half (eProsima/Fast-DDS#1144, #5469). Its own `fastdds shm clean` leaves queues whose lock is
gone, and knows no domains.
"""

from __future__ import annotations

import fcntl
import re
from collections.abc import Iterable
from pathlib import Path

FOLDER = Path("/dev/shm")  # where Fast DDS has them on Linux
# fastrtps: of ROS 2 before Kilted
NAME = re.compile(r"(?:sem\.)?(fast(?:dds|rtps)_(?:port(\d+)|[0-9a-f]{16}))(?:_el|_sl|_mutex)?")
LOCKS = ("_el", "_sl")  # of a reader alone, of readers that share a port
FIRST_PORT, PORTS_OF_DOMAIN = 7400, 250  # RTPS 2.2, 9.6.1.1


def left_behind(domain: int | None = None, folder: Path = FOLDER) -> list[Path]:
    """Files that no living process reads: of one domain's ports, or all, segments with them."""
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    found: dict[str, list[Path]] = {}
    for name in sorted(names):
        match = NAME.fullmatch(name)
        if match is not None and (domain is None or _is_of(domain, match[2])):
            found.setdefault(match[1], []).append(folder / name)
    return [file for one, files in found.items() if not _is_held(folder, one) for file in files]


def remove(files: Iterable[Path]) -> int:
    """Remove those that may be removed; how many were."""
    removed = 0
    for file in files:
        try:
            file.unlink()
            removed += 1
        except OSError:  # another user's, or gone
            continue
    return removed


def _is_of(domain: int, port: str | None) -> bool:
    first = FIRST_PORT + PORTS_OF_DOMAIN * domain
    return port is not None and first <= int(port) < first + PORTS_OF_DOMAIN


def _is_held(folder: Path, name: str) -> bool:
    """Whether somebody holds a lock of a port or segment, or it cannot be told."""
    for suffix in LOCKS:
        try:
            with (folder / f"{name}{suffix}").open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            continue
        except OSError:
            return True
    return False
