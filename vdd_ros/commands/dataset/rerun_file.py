"""Episodes as a file for the Rerun viewer: every number of every stream over time, and verdicts.

Entities are EPISODE/STREAM/FIELD/JOINT; `stamp` counts from the beginning of each episode, so that
several can be laid over each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.episode import Episode
from vdd_ros.errors import UserError
from vdd_ros.fitness import verdict_of
from vdd_ros.ood_detector import AXES

APPLICATION, TIMELINE = "vdd_ros", "stamp"


class Series(NamedTuple):
    """entity: path of one number; times_s: (N,) since the episode began; values: (N,)."""

    entity: str
    times_s: np.ndarray
    values: np.ndarray


def write(episodes: list[Episode], path: Path) -> int:
    """Write the file, whole or not at all; how many series are in it. Raises UserError without the
    viewer's library, or where there is no folder for the file."""
    rerun = library()
    if not path.absolute().parent.is_dir():
        raise UserError(f"{path.parent} is no folder: make it first, or name another place")
    part = path.with_name(f".part-{path.name}")
    count = 0
    try:
        with rerun.RecordingStream(APPLICATION, recording_id=path.stem) as stream:
            stream.save(part)
            for episode in episodes:
                told = rerun.TextDocument(str(verdict_of(episode)))
                rerun.log(f"{episode.name}/verdict", told, static=True)
                for one in series_of(episode):
                    rerun.send_columns(
                        one.entity,
                        indexes=[rerun.TimeColumn(TIMELINE, duration=one.times_s)],
                        columns=rerun.Scalars.columns(scalars=one.values),
                    )
                    count += 1
            stream.flush()
            stream.disconnect()
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return count


def library() -> ModuleType:
    """rerun, or a UserError that says how to get it."""
    try:
        import rerun
    except ImportError:
        raise UserError(
            "a file for Rerun needs rerun-sdk, which is not installed (about 500 MB): "
            "`pip install 'vdd_ros[looking]'`; --page needs nothing else"
        ) from None
    return rerun


def series_of(episode: Episode) -> Iterator[Series]:
    """Every number of every stream that has messages; what was not sent is left out."""
    for name, data in episode.streams.items():
        times_s = (data.stamps_ns - episode.manifest.started_ns) * 1e-9
        for field, values in data.fields.items():
            labels = _labels(episode.contract, name, field)
            for label, column in zip(labels, values.T, strict=True):
                sent = ~np.isnan(column)
                if sent.any():
                    entity = f"{episode.name}/{name}/{field}/{label}"
                    yield Series(entity, times_s[sent], column[sent])


def _labels(contract: Contract, stream: str, field: str) -> list[str]:
    """What the numbers of a field are of, in their order."""
    if not contract.streams[stream].is_of_objects:
        return list(contract.joint_names)
    return [f"{one}/{axis}" for one in contract.objects for axis in AXES[field]]
