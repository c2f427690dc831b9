"""Which code this is: a version is the same for many states of a checkout, the sources are not."""

from __future__ import annotations

import hashlib
import subprocess
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


def commit() -> str | None:
    """Of the git checkout that runs, with `+` where its files are not those of the commit; None
    where it is none."""
    root = Path(__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return None
    shown = ("--always", "--exclude=*", "--abbrev=12", "--dirty=+")
    words = ["git", "-C", str(root), "describe", *shown]
    try:
        found = subprocess.run(words, capture_output=True, text=True, timeout=10.0, check=True)
    except (OSError, subprocess.SubprocessError):  # no git here, or none that reads this checkout
        return None
    return found.stdout.strip()


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
