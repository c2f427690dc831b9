"""Whether two cameras have changed places since the episode before, by what they show: topics and
frames are right where it was cables that were changed.

Compared are the first pictures, at which the arm is where every demonstration begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path

import numpy as np

from vdd_ros.camera_images import CameraImages, camera_bag
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.images import tiles
from vdd_ros.timing_verdict import Finding

# By which correlation each of two pictures has to be more like the other camera's of before.
MORE_ALIKE = 0.2


def swap_findings(contract: Contract, bag: Path, folder: Path) -> Iterator[Finding]:
    """Of a recording of cameras, beside the last episode of a folder that has any; nothing where
    there is none that can be read."""
    try:
        before = last_with_cameras(folder)
        if before is None:
            return
        bags = bag, camera_bag(before, before.name)
        now, then = (first_looks(contract, path) for path in bags)
    except OSError:  # this recording loses nothing for it
        return
    for one, other in combinations(sorted(set(now) & set(then)), 2):
        own = max(alike(now[name], then[name]) for name in (one, other))
        crossed = min(alike(now[one], then[other]), alike(now[other], then[one]))
        if crossed > own + MORE_ALIKE:
            yield Finding(
                "WARN",
                f"{one} shows what {other} showed in {before.name}, and {other} what {one} did: "
                "are two cameras swapped?",
            )


def last_with_cameras(folder: Path) -> Path | None:
    """The last episode, by name, that has pictures."""
    names = sorted((path.name for path in folder.iterdir() if path.name[0] != "."), reverse=True)
    found = (folder / name for name in names if camera_bag(folder / name, name).is_file())
    return next(found, None)


def first_looks(contract: Contract, bag: Path) -> Mapping[str, np.ndarray]:
    """Brightness of the parts of each camera's first picture; of a camera without one that can be
    read there is none."""
    found = {}
    for name in contract.cameras:
        try:
            found[name] = tiles(CameraImages(bag, contract, name)[0].pixels)
        except (UserError, IndexError):
            continue
    return found


def alike(one: np.ndarray, other: np.ndarray) -> float:
    """Correlation, -1 to 1; 0 of a picture without parts of another brightness."""
    one, other = one - one.mean(), other - other.mean()
    size = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / size if size > 0.0 else 0.0
