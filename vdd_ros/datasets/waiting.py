"""Frames of an episode that wait on the disk, as numpy's own files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vdd_ros.datasets.frames import Frames
from vdd_ros.manifest import Manifest

OBJECTS, PICTURES = "objects", "pictures"


def put_aside(folder: Path, number: int, frames: Frames) -> None:
    """Write the arrays of the frames of one episode of a folder's."""
    arrays = {"ticks_ns": frames.ticks_ns, "state": frames.state, "command": frames.command}
    if frames.velocity is not None:
        arrays["velocity"] = frames.velocity
    for stream, fields in frames.objects.items():
        arrays |= {f"{OBJECTS}/{stream}/{field}": values for field, values in fields.items()}
    arrays |= {f"{PICTURES}/{camera}": numbers for camera, numbers in frames.pictures.items()}
    np.savez(_path(folder, number), **arrays)  # type: ignore[arg-type]


def take_up(folder: Path, number: int, manifest: Manifest, samples: dict[str, int]) -> Frames:
    """Read them again, and remove them."""
    with np.load(_path(folder, number), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    _path(folder, number).unlink()
    objects: dict[str, dict[str, np.ndarray]] = {}
    for name, values in arrays.items():
        if name.startswith(f"{OBJECTS}/"):
            _, stream, field = name.split("/")
            objects.setdefault(stream, {})[field] = values
    return Frames(
        manifest=manifest,
        ticks_ns=arrays["ticks_ns"],
        state=arrays["state"],
        command=arrays["command"],
        velocity=arrays.get("velocity"),
        objects=objects,
        samples=samples,
        pictures={
            name.removeprefix(f"{PICTURES}/"): numbers
            for name, numbers in arrays.items()
            if name.startswith(f"{PICTURES}/")
        },
    )


def _path(folder: Path, number: int) -> Path:
    return folder / f"{number}.npz"
