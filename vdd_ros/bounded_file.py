"""Files of others, read no further than they may be long."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

from vdd_ros.errors import UserError

LARGEST_OBJECT = 64 * (1 << 20)


def read_object(path: Path, wanted: str = "what vdd wrote") -> dict:
    """The JSON object that a command of vdd wrote; raises UserError, which asks for what is wanted,
    where there is none."""
    try:
        raw = json.loads(read_text_up_to(path, LARGEST_OBJECT))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): name {wanted}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read ({error}): name {wanted}") from None
    if not isinstance(raw, dict):
        raise UserError(f"{path} is not a JSON object: name {wanted}")
    return raw


def read_text_up_to(path: Path, largest_bytes: int) -> str:
    """The text of a regular file; raises UserError where it is longer or no file, and OSError and
    ValueError as `Path.read_text` does. It never waits, as a named pipe would make it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise UserError(f"{path} is no regular file: name another, or restore it")
        content = file.read(largest_bytes + 1)
    if len(content) > largest_bytes:
        raise UserError(
            f"{path} has {found.st_size} bytes, at most {largest_bytes} are read: name another, or "
            "restore it"
        )
    return content.decode("utf-8")
