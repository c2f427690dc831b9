"""Taken: the episodes of a folder as frames, what all of them have, and what frames cannot hold.

In memory is one episode at a time: frames wait on the disk until they are written, as what a format
declares of every episode is known only when the last one has been read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vdd_ros.camera_images import CameraImages
from vdd_ros.contract import Contract
from vdd_ros.datasets.frame_pictures import FramePictures
from vdd_ros.datasets.frames import Frames, frames_of
from vdd_ros.datasets.source import Channel, Column
from vdd_ros.datasets.waiting import put_aside, take_up
from vdd_ros.episode import Episode
from vdd_ros.errors import UserError
from vdd_ros.manifest import Manifest

AXES = ("x", "y", "z")
HEADING = ("cos", "sin")


class Facts(NamedTuple):
    """What is known of an episode's frames while they wait. rounding: by how much float32 is beside
    its numbers at most [unit]."""

    length: int
    has_velocity: bool
    success: bool | None
    objects: tuple[str, ...]
    samples: dict[str, int]
    rounding: float

    @classmethod
    def of(cls, frames: Frames) -> Facts:
        return cls(
            length=len(frames),
            has_velocity=frames.velocity is not None,
            success=frames.success,
            objects=tuple(frames.objects),
            samples=frames.samples,
            rounding=max(map(_rounding, (frames.state, frames.command))),
        )


@dataclass(frozen=True)
class Taken:
    """Formats of frames have the same keys in every episode: has_velocity, objects (the stream of
    their poses) and has_success are what every one of these has. manifests, facts: of each episode;
    source: where they lie; folder: where their frames wait; cameras: whose pictures frames have."""

    contract: Contract
    manifests: Sequence[Manifest]
    facts: Sequence[Facts]
    source: Path
    folder: Path
    cameras: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        manifests: Sequence[Manifest],
        load: Callable[[str], Episode],
        source: Path,
        folder: Path,
        cameras: tuple[str, ...],
        report: Callable[[int, int], None],
    ) -> Taken:
        """The frames of these episodes, of one contract, which are put aside in a folder; raises
        UserError where one has none."""
        facts: list[Facts] = []
        for manifest in manifests:
            frames = frames_of(load(manifest.name), cameras)
            put_aside(folder, len(facts), frames)
            facts.append(Facts.of(frames))
            report(len(facts), len(manifests))
        return cls(manifests[0].contract, manifests, facts, source, folder, cameras)

    def frames(self) -> Iterator[Frames]:
        """Of one episode after the other, in their order."""
        for number, (manifest, facts) in enumerate(zip(self.manifests, self.facts, strict=True)):
            yield take_up(self.folder, number, manifest, facts.samples)

    def pictures(self, frames: Frames, camera: str) -> FramePictures:
        """Of the frames of one episode."""
        manifest = frames.manifest
        assert manifest.camera_file is not None, "it has pictures"
        path = self.source / manifest.name / manifest.camera_file
        images = CameraImages(path, manifest.contract, camera)
        return FramePictures(images, frames.pictures[camera], frames.ticks_ns)

    def __len__(self) -> int:
        return len(self.facts)

    @property
    def lengths(self) -> list[int]:
        """Frames of each episode."""
        return [one.length for one in self.facts]

    @property
    def has_velocity(self) -> bool:
        return all(one.has_velocity for one in self.facts)

    @property
    def has_success(self) -> bool:
        return all(one.success is not None for one in self.facts)

    @property
    def objects(self) -> str | None:
        for name in self.facts[0].objects:
            if all(name in one.objects for one in self.facts):
                return name
        return None

    @property
    def rounding(self) -> float:
        """By how much float32 is beside states and commands at most [unit]."""
        return max(one.rounding for one in self.facts)

    def object_names(self, field: str) -> tuple[str, ...]:
        """Of each number of the objects' positions, or headings."""
        axes = AXES if field == "position" else HEADING
        return tuple(f"{name}.{axis}" for name in self.contract.objects for axis in axes)


def cameras_of_all(manifests: Sequence[Manifest]) -> tuple[str, ...]:
    """Cameras of which every episode has pictures, all of one size; raises UserError where there is
    none."""
    first = manifests[0].contract.cameras

    def is_in(manifest: Manifest, name: str) -> bool:
        camera = manifest.contract.cameras.get(name)
        size = first[name].width, first[name].height
        is_same = camera is not None and (camera.width, camera.height) == size
        return is_same and name in manifest.cameras and manifest.cameras[name].count > 0

    found = tuple(name for name in first if all(is_in(one, name) for one in manifests))
    if not found:
        raise UserError(
            f"no camera has pictures in each of the {len(manifests)} episodes, in one size: leave "
            f"out --images, or export those that have some (`vdd dataset split`)"
        )
    return found


def channels_of(contract: Contract, state: str = "{joint}", command: str = "{joint}") -> tuple:
    """The declaration of each joint whose columns are written in the contract's own units; state,
    command: names of columns, with {joint} and {at}, the joint's place, to be filled in."""
    return tuple(
        Channel(
            joint=joint.name,
            state=Column(name=state.format(joint=joint.name, at=at), unit=joint.unit),
            command=Column(name=command.format(joint=joint.name, at=at), unit=joint.unit),
        )
        for at, joint in enumerate(contract.joints)
    )


def lost_in_frames(taken: Taken) -> list[str]:
    """What of these episodes no format of frames holds; one clause each."""
    contract, facts = taken.contract, taken.facts
    needed = ("joint_state", contract.action.stream, taken.objects)
    lost = ["times of day, and when each message was received: frames count from 0"]
    for name in contract.streams:
        count = sum(one.samples.get(name, 0) for one in facts)
        if count and name not in needed:
            lost.append(f"stream {name}: {count} messages")
        elif count > sum(taken.lengths):
            lost.append(f"what {name} said between frames: {count} messages")
    pictures: Counter[str] = Counter()
    for manifest in taken.manifests:
        pictures.update({name: camera.count for name, camera in manifest.cameras.items()})
    for name, count in pictures.items():
        if name not in taken.cameras:
            lost.append(f"camera {name}: {count} pictures")
        elif count > sum(taken.lengths):
            lost.append(f"what camera {name} showed between frames: {count} pictures")
    if not taken.has_velocity and any(one.has_velocity for one in facts):
        lost.append("joint velocities: some episodes have none")
    if taken.objects is not None:
        lost.append("how objects lean: of their orientation the heading is kept")
    labelled = sum(one.success is not None for one in facts)
    if 0 < labelled < len(facts):
        lost.append(f"success, but in vdd_ros.json: {labelled} of {len(facts)} episodes say it")
    if any("takeovers_s" in one.meta for one in taken.manifests):
        lost.append("which commands were a person's and which the policy's, but in vdd_ros.json")
    return lost


def _rounding(array: np.ndarray) -> float:
    return float(np.abs(array - array.astype(np.float32)).max())
