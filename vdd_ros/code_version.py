"""Which code this is: a version is the same for many states of a checkout, the sources are not."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

SOURCES = ("*.py", "*.xml")


def package_version() -> str:
    """As installed."""
    try:
        return version("vdd_ros")
    except PackageNotFoundError:
        return "not installed"


@cache  # what runs here was read once, too
def code_hash(*folders: str) -> str:
    """sha256 of the sources of the core and of some folders in it, wherever they lie."""
    root = Path(__file__).parent
    files = {path.name: path for path in root.glob("*.py")}
    for folder in folders:
        inner = root / folder
        found = [path for pattern in SOURCES for path in inner.rglob(pattern)]
        files |= {f"{folder}/{path.relative_to(inner)}": path for path in found}
    digest = hashlib.sha256()
    for name, path in sorted(files.items()):
        digest.update(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()
