"""Which pins of the locks a database of known vulnerabilities has: without a network.

python requirements/audit.py safety-db/data/insecure.json     # of github.com/pyupio/safety-db

Prints a line for each pin that is found, and ends with exit code 1 where one is. `pip-audit`, which
asks databases on the network, knows more (docs/security.md).
"""

from __future__ import annotations

import json
import re
import sys
from datetime import datetime, timezone
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

LOCKS = Path(__file__).resolve().parent
PIN = re.compile(r"^([\w.-]+)==([\w.+!]+)", re.MULTILINE)


def main(database: Path) -> int:
    """Print what is found in a file that has, by package, the versions that are vulnerable."""
    told = json.loads(database.read_text(encoding="utf-8"))
    made = datetime.fromtimestamp(told.pop("$meta")["timestamp"], timezone.utc)
    vulnerable = {canonicalize_name(name): specifiers for name, specifiers in told.items()}
    pins = pinned(LOCKS)
    known = sum(name in vulnerable for name, _ in pins)
    found = {pin: hit for pin in pins if (hit := matching(pin[1], vulnerable.get(pin[0], [])))}
    for (name, version), specifiers in found.items():
        locks = ", ".join(pins[name, version])
        print(f"{name} {version} ({' '.join(specifiers)}): {locks}")
    print(f"{len(found)} of {len(pins)} pins; {known} are of packages in it; {made:%Y-%m-%d}")
    return 1 if found else 0


def pinned(folder: Path) -> dict[tuple[str, str], list[str]]:
    """By name and version, the locks that have it."""
    pins: dict[tuple[str, str], list[str]] = {}
    for lock in sorted(folder.glob("*.txt")):
        for name, version in PIN.findall(lock.read_text(encoding="utf-8")):
            pins.setdefault((canonicalize_name(name), version), []).append(lock.name)
    return dict(sorted(pins.items()))


def matching(version: str, specifiers: list[str]) -> list[str]:
    """Those that a version is in."""
    return [one for one in specifiers if Version(version) in SpecifierSet(one, prereleases=True)]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    raise SystemExit(main(Path(sys.argv[1])))
