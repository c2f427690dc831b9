"""Converted: a foreign recording in the contract's order and units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import JsonValue

from vdd_ros.contract import Contract
from vdd_ros.datasets.recording import Recording
from vdd_ros.datasets.source import Column, Source


@dataclass(frozen=True)
class Converted:
    """state, command: (N, Da) [contract unit]; velocity: (N, Da) of the state per second, NaN for
    joints that the file has none of; the rest as in Recording."""

    name: str
    where: str
    rate_hz: float
    times_s: np.ndarray
    state: np.ndarray
    command: np.ndarray
    velocity: np.ndarray
    notes: tuple[str, ...]
    meta: dict[str, JsonValue]


def convert(recording: Recording, source: Source, contract: Contract) -> Converted:
    """A sound recording (`checks.require_sound`) in the contract's terms."""
    channels = source.in_order_of(contract)
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
        notes=recording.notes,
        meta=recording.meta,
    )


def _stack(columns: list[Column], values: dict[str, np.ndarray]) -> np.ndarray:
    return np.stack([column.convert(values[column.name]) for column in columns], axis=-1)


def _velocity(columns: list[Column], velocity: dict[str, np.ndarray], size: int) -> np.ndarray:
    nothing = np.full(size, np.nan)
    return np.stack(
        [column.slope * velocity.get(column.name, nothing) for column in columns], axis=-1
    )
