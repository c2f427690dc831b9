"""Taken: the episodes of a folder as frames, what all of them have, and what frames cannot hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.datasets.frames import Frames, frames_of
from vdd_ros.datasets.source import Channel, Column
from vdd_ros.episode import Episode
from vdd_ros.manifest import Manifest

AXES = ("x", "y", "z")
HEADING = ("cos", "sin")


@dataclass(frozen=True)
class Taken:
    """Formats of frames have the same keys in every episode: has_velocity, objects (the stream of
    their poses) and has_success are what every one of these has."""

    contract: Contract
    frames: list[Frames]

    @classmethod
    def of(
        cls,
        names: Sequence[str],
        contract: Contract,
        load: Callable[[str], Episode],
        report: Callable[[int, int], None],
    ) -> Taken:
        """The frames of these episodes; raises UserError where one has none."""
        frames = []
        for name in names:
            frames.append(frames_of(load(name)))
            report(len(frames), len(names))
        return cls(contract, frames)

    @property
    def manifests(self) -> list[Manifest]:
        return [one.manifest for one in self.frames]

    @property
    def has_velocity(self) -> bool:
        return all(one.velocity is not None for one in self.frames)

    @property
    def has_success(self) -> bool:
        return all(one.success is not None for one in self.frames)

    @property
    def objects(self) -> str | None:
        for name in self.frames[0].objects:
            if all(name in one.objects for one in self.frames):
                return name
        return None

    def object_names(self, field: str) -> tuple[str, ...]:
        """Of each number of the objects' positions, or headings."""
        axes = AXES if field == "position" else HEADING
        return tuple(f"{name}.{axis}" for name in self.contract.objects for axis in axes)


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
    contract, frames = taken.contract, taken.frames
    needed = ("joint_state", contract.action.stream, taken.objects)
    lost = ["times of day, and when each message was received: frames count from 0"]
    for name in contract.streams:
        count = sum(one.samples.get(name, 0) for one in frames)
        if count and name not in needed:
            lost.append(f"stream {name}: {count} messages")
        elif count > sum(map(len, frames)):
            lost.append(f"what {name} said between frames: {count} messages")
    pictures: dict[str, int] = {}
    for manifest in taken.manifests:
        for name, camera in manifest.cameras.items():
            pictures[name] = pictures.get(name, 0) + camera.count
    lost += [f"camera {name}: {count} pictures" for name, count in pictures.items()]
    if not taken.has_velocity and any(one.velocity is not None for one in frames):
        lost.append("joint velocities: some episodes have none")
    if taken.objects is not None:
        lost.append("how objects lean: of their orientation the heading is kept")
    labelled = sum(one.success is not None for one in frames)
    if 0 < labelled < len(frames):
        lost.append(f"success, but in vdd_ros.json: {labelled} of {len(frames)} episodes say it")
    if any("takeovers_s" in one.meta for one in taken.manifests):
        lost.append("which commands were a person's and which the policy's, but in vdd_ros.json")
    return lost


def rounded_in_float32(taken: Taken) -> float:
    """By how much float32 is beside these numbers at most [unit]."""
    arrays = [array for one in taken.frames for array in (one.state, one.command)]
    return max(float(np.abs(array - array.astype(np.float32)).max()) for array in arrays)
