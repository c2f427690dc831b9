"""What is calibrated from: folders of episodes, or single ones; and where the result is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vdd_ros.calibration_parts import Section
from vdd_ros.camera_images import CameraImages
from vdd_ros.contract import Contract
from vdd_ros.episode import Episode, EpisodeStore, StreamData
from vdd_ros.errors import UserError
from vdd_ros.images import tiles
from vdd_ros.manifest import FILE_NAME
from vdd_ros.robot_calibration import latest_of


class Pictures(NamedTuple):
    """stamps_ns: (N,); tiles: (N, tiles) mean brightness of parts of each picture."""

    stamps_ns: np.ndarray
    tiles: np.ndarray


class Recording(NamedTuple):
    """Of one run: streams of the contract by name, and of cameras what their pictures show."""

    streams: Mapping[str, StreamData]
    pictures: Mapping[str, Pictures]


def episodes_of(paths: Sequence[Path]) -> Iterator[Episode]:
    """Every episode of some folders, one after the other; a path may also be that of one episode.
    Raises UserError where there is none, or where they are of different joints."""
    names: tuple[str, ...] | None = None
    for path in paths:
        alone = (path / FILE_NAME).exists()
        store = EpisodeStore(path.parent if alone else path)
        listed = [path.name] if alone else store.list()
        for name in listed:
            episode = store.load(name)
            if names is not None and episode.contract.joint_names != names:
                raise UserError(
                    f"{path / name} is of a robot with other joints than those before: calibrate "
                    "one robot at a time"
                )
            names = episode.contract.joint_names
            yield episode
    if names is None:
        raise UserError(
            f"no episode in {', '.join(map(str, paths)) or 'nothing'}: name folders of episodes"
        )


def recording_of(episode: Episode, cameras: Sequence[str] | None) -> Recording:
    """An episode's streams, and what its pictures show; cameras: which of them, None: all."""
    shown = {}
    if episode.manifest.camera_file is not None:
        for name in episode.contract.cameras if cameras is None else cameras:
            shown[name] = pictures_of(episode.images(name))
    return Recording(episode.streams, shown)


def pictures_of(images: CameraImages) -> Pictures:
    """Brightness of parts of every picture, by when the picture was taken as its stamp says."""
    found, stamps_ns = [], []
    for number, stamp_ns in enumerate(images.stamps_ns):
        try:
            found.append(tiles(images[number].pixels))
        except UserError:  # one that is broken is judged by the verdict
            continue
        stamps_ns.append(stamp_ns)
    return Pictures(np.array(stamps_ns, dtype=np.int64), np.array(found).reshape(len(found), -1))


def contract_of(episodes: Sequence[Episode], contract: Path | None) -> Contract:
    """The one that is named, or that of the newest episode; raises UserError where the named one is
    of a robot with other joints."""
    newest = episodes[-1].contract
    if contract is None:
        return newest
    named = Contract.from_yaml(contract)
    if named.joint_names != newest.joint_names:
        raise UserError(
            f"{contract} has the joints {', '.join(named.joint_names)}, the episodes have "
            f"{', '.join(newest.joint_names)}: name the contract of their robot, or none"
        )
    return named


def keep(
    folder: Path, contract: Contract, now: datetime, **sections: Section | Mapping[str, Section]
) -> Path:
    """A new file of the robot's calibration, in which sections are added to those that are known:
    one takes the place of the one before, and of several by name, such as latency by joint, those
    of other names stay. Raises UserError."""
    known = latest_of(folder, contract.robot_name, contract.contract_hash)
    added = {
        name: found if isinstance(found, Section) else getattr(known, name) | dict(found)
        for name, found in sections.items()
    }
    return known.model_copy(update=added).write(folder, now)
