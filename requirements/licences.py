"""Writes docs/licences.md: the licence of every package of a lock, as the package itself tells it.

.venv/bin/python requirements/licences.py        in the environment of `make venv`
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements" / "py311.txt"
PAGE = ROOT / "docs" / "licences.md"
LONGEST = 60  # of a licence's name; what is longer is its text
# Of packages whose own metadata names none, from the licence file that they install.
READ_BY_EYE = {
    "robosuite": "MIT",
    "setuptools": "MIT",
    "apsw": "Zlib, or any that the OSI approves",
    "ros-fastcdr": "Apache-2.0",
    "ros-fastdds": "Apache-2.0",
}
# What is not simply permissive, with what follows.
NOTED = """\
## What is not simply permissive

- **quadprog** (GPL-2.0 or later) and **qpsolvers** (LGPL-3.0) solve the inverse kinematics of the
  extras `cartesian` and `sim`. Nothing of them is part of this package, and a robot whose policies
  tell joint positions does without both. Who passes on an image or a machine with them installed
  passes on GPL software and has to meet its terms.
- **av** (PyAV, extra `data`) is BSD-3-Clause, and its wheels bring FFmpeg with x264 and x265, which
  are under the GPL-2.0 or later: who passes on a machine with such a wheel passes on GPL software.
  Videos alone need it, and a robot does without.
- **tensorrt-rtx** (extra `rtx`, for tests) is NVIDIA's own, under its licence agreement, and so is
  TensorRT (extra `tensorrt`, or of JetPack). Neither is passed on with this package.
- **certifi**, **pathspec**, **hypothesis** and **tqdm** are under the MPL-2.0, which asks for the
  sources of changed files of theirs. None is changed here.
"""


def main() -> int:
    """Write the page; 1 where a package of the lock is not installed in the version it has."""
    pins = dict(line.split("==") for line in LOCK.read_text().split())
    rows, packages = [], defaultdict(list)
    for name, version in sorted(pins.items()):
        try:
            found = distribution(name)
        except PackageNotFoundError:
            found = None
        if found is None or found.version != version:
            print(f"{name} {version} is not installed: run `make venv`, then this", file=sys.stderr)
            return 1
        licence = licence_of(name, found)
        rows.append(f"| {name} | {version} | {licence} |")
        packages[licence].append(name)
    counted = sorted(packages.items(), key=lambda item: (-len(item[1]), item[0]))
    PAGE.write_text(
        "# Licences of what is installed\n\n"
        "This package is under the Apache-2.0 ([LICENSE](../LICENSE)) and contains no code of\n"
        "the packages below; it asks for them, and pip or a ROS distribution installs them. The\n"
        f"tables are those of `requirements/{LOCK.name}`, written by `requirements/licences.py`\n"
        "from what each package says of itself; torch, which is installed in a step of its own,\n"
        "is BSD-3-Clause. It is no legal advice.\n\n"
        + NOTED
        + "\n## How many\n\n| licence | packages |\n|---|---|\n"
        + "".join(f"| {licence} | {len(names)} |\n" for licence, names in counted)
        + "\n## Each\n\n| package | version | licence |\n|---|---|---|\n"
        + "\n".join(rows)
        + "\n",
        encoding="utf-8",
    )
    return 0


def licence_of(name: str, found: Distribution) -> str:
    """In the words of a package's metadata, or of its ROS manifest."""
    if name in READ_BY_EYE:
        return READ_BY_EYE[name]
    told = found.metadata
    if expression := told.get("License-Expression"):
        return expression
    kinds = [one for one in told.get_all("Classifier") or [] if one.startswith("License ::")]
    if kinds:
        return ", ".join(one.rpartition(" :: ")[2] for one in kinds)
    word = (told.get("License") or "").strip()
    if word and len(word) <= LONGEST and "\n" not in word:
        return word
    for file in found.files or ():
        if re.fullmatch(r"(\.\./)*share/[a-z0-9_]+/package\.xml", str(file)):
            root = ElementTree.parse(found.locate_file(file)).getroot()  # type: ignore[arg-type]
            return ", ".join(one.text or "" for one in root.iter("license"))
    raise SystemExit(
        f"{name} tells no licence: read its licence file, and write it into READ_BY_EYE"
    )


if __name__ == "__main__":
    raise SystemExit(main())
