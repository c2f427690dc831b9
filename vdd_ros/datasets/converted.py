"""Converted: a foreign recording in the contract's order and units."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from pydantic import JsonValue

from vdd_ros.bag import RawMessage
from vdd_ros.contract import Contract
from vdd_ros.datasets.recording import CameraFrames, Recording
from vdd_ros.datasets.source import Column, Source
from vdd_ros.datasets.track_messages import messages_of
from vdd_ros.errors import UserError


@dataclass(frozen=True)
class Converted:
    """state, command: (N, Da) [contract unit]; velocity: (N, Da) of the state per second, NaN for
    joints that the file has none of; messages: of all streams as they were received, where the
    recording is one of messages; the rest as in Recording."""

    name: str
    where: str
    rate_hz: float
    times_s: np.ndarray
    state: np.ndarray
    command: np.ndarray
    velocity: np.ndarray
    objects: dict[str, np.ndarray]
    messages: tuple[RawMessage, ...] | None
    notes: tuple[str, ...]
    meta: dict[str, JsonValue]
    not_read: tuple[str, ...] = ()
    pictures: dict[str, CameraFrames] = field(default_factory=dict)


def convert(recording: Recording, source: Source, contract: Contract) -> Converted:
    """A sound recording (`checks.require_sound`) in the contract's terms."""
    channels = source.in_order_of(contract)
    for stream, poses in recording.objects.items():
        _require_objects(recording.where, contract, stream, poses.shape[1])
    for camera, pictures in recording.pictures.items():
        _require_size(recording.where, contract, camera, pictures)
    return Converted(
        name=recording.name,
        where=recording.where,
        rate_hz=source.rate_hz,
        times_s=recording.times_s,
        state=_stack([channel.state for channel in channels], recording.state),
        command=_stack([channel.command for channel in channels], recording.command),
        velocity=_velocity(
            [channel.state for channel in channels], recording.velocity, len(recording)
        ),
        objects=recording.objects,
        messages=messages_of(recording, source, contract),
        notes=recording.notes,
        meta=recording.meta,
        not_read=recording.not_read,
        pictures=recording.pictures,
    )


def _stack(columns: list[Column], values: dict[str, np.ndarray]) -> np.ndarray:
    return np.stack([column.convert(values[column.name]) for column in columns], axis=-1)


def _velocity(columns: list[Column], velocity: dict[str, np.ndarray], size: int) -> np.ndarray:
    nothing = np.full(size, np.nan)
    return np.stack(
        [column.slope * velocity.get(column.name, nothing) for column in columns], axis=-1
    )


def _require_objects(where: str, contract: Contract, stream: str, count: int) -> None:
    if stream not in contract.streams or not contract.streams[stream].is_of_objects:
        known = [name for name, one in contract.streams.items() if one.is_of_objects]
        raise UserError(
            f"{where}: objects are declared for stream {stream!r}, but {contract.name} has "
            f"{known} for poses of objects: correct the declaration"
        )
    if count != len(contract.objects):
        raise UserError(
            f"{where}: there are poses of {count} objects, {contract.name} names "
            f"{len(contract.objects)}: correct the declaration, or use the contract they are of"
        )


def _require_size(where: str, contract: Contract, name: str, pictures: CameraFrames) -> None:
    camera = contract.cameras[name]
    if (pictures.width, pictures.height) != (camera.width, camera.height):
        raise UserError(
            f"{where}: its pictures of camera {name} are {pictures.width}x{pictures.height}, those "
            f"of {contract.name} {camera.width}x{camera.height}: correct the contract (`images` "
            "says what part of them a policy sees, and how small)"
        )
