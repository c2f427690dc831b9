"""How much a foreign file may ask for, so that a small one cannot fill the memory."""

from __future__ import annotations

from pathlib import Path

from vdd_ros.errors import UserError

MOST_BYTES = 2 << 30  # of one array, one file's columns or what is wanted of one bag, unpacked
MOST_TEXT = 64 << 20  # of a file of metadata


def require_bounded(where: str, count: int, most: int = MOST_BYTES) -> None:
    """Raise UserError where a file asks for more bytes than are read."""
    if count > most:
        raise UserError(
            f"{where} would take {count / 2**20:.0f} MiB of memory, {most / 2**20:.0f} are read at "
            f"once: split the dataset, or get a file that is not damaged"
        )


def read_text(path: Path) -> bytes:
    """A file of metadata; raises OSError, or UserError where it is too long."""
    require_bounded(str(path), path.stat().st_size, MOST_TEXT)
    return path.read_bytes()
