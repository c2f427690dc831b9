"""Writes an HDF5 file of robomimic's layout."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from vdd_ros.datasets.formats import ObjectKeys, RobomimicFormat
from vdd_ros.datasets.frame_pictures import FramePictures
from vdd_ros.datasets.hdf5_sink import Sink
from vdd_ros.datasets.taken import Taken

FILE = "demonstrations.hdf5"
POSITION, VELOCITY, TIMES = "obs/joint_position", "obs/joint_velocity", "times"
IMAGE = "obs/{camera}_image"  # as robosuite's are called
NO_ENVIRONMENT = 2  # robomimic's number for gym, with which it expects neither states nor a model
LOST = [
    "states and model_file: there is no simulator to restore",
    "next_obs: it is obs one row on (train with hdf5_load_next_obs off)",
]


def write_robomimic(
    folder: Path, taken: Taken, valid: float, report: Callable[[int, int], None]
) -> tuple[RobomimicFormat, list[str], list[str]]:
    """Write the dataset; returns how it is read again, the name of each recording, and what the
    format has no place for. valid: share of the episodes, the last ones, of filter key `valid`."""
    import h5py

    names = [f"demo_{index}" for index in range(len(taken))]
    spoilt: Counter[str] = Counter()
    with closing(Sink(folder / FILE)) as sink, h5py.File(sink, "w") as file:
        data = file.create_group("data")
        for done, (name, frames) in enumerate(zip(names, taken.frames(), strict=True), 1):
            group = data.create_group(name)
            group.attrs["num_samples"] = len(frames)
            group.attrs["task"] = frames.manifest.task
            last = np.arange(len(frames)) == len(frames) - 1
            _put(group, POSITION, frames.state, taken.contract.joint_names)
            _put(group, "actions", frames.command, taken.contract.joint_names)
            if taken.has_velocity and frames.velocity is not None:
                _put(group, VELOCITY, frames.velocity, taken.contract.joint_names)
            if taken.objects is not None:
                for field, values in frames.objects[taken.objects].items():
                    _put(group, _object_key(taken, field), values, taken.object_names(field))
            group[TIMES] = (frames.ticks_ns - frames.ticks_ns[0]) * 1e-9
            group["dones"] = last.astype(np.int64)
            for camera in taken.cameras:
                spoilt[camera] += _put_pictures(group, camera, taken.pictures(frames, camera))
            if taken.has_success:
                group["rewards"] = (last & bool(frames.success)).astype(np.float64)
            sink.require_whole()
            report(done, len(names))
        data.attrs["total"] = sum(taken.lengths)
        data.attrs["env_args"] = json.dumps(_env_args(taken))
        _put_masks(file, names, valid)
    sink.require_whole()
    lost = [
        f"camera {name}: {count} that cannot be read" for name, count in spoilt.items() if count
    ]
    return _layout(taken), names, LOST + lost


def _env_args(taken: Taken) -> dict[str, Any]:
    contract = taken.contract
    return {
        "env_name": contract.name,
        "env_type": NO_ENVIRONMENT,  # as robomimic documents it
        "type": NO_ENVIRONMENT,  # as its code reads it
        "env_kwargs": {"control_freq": contract.rates.policy_hz},
    }


def _layout(taken: Taken) -> RobomimicFormat:
    keys = None
    if taken.objects is not None:
        position, heading = (_object_key(taken, field) for field in ("position", "heading"))
        keys = ObjectKeys(stream=taken.objects, position=position, heading=heading)
    return RobomimicFormat(
        kind="robomimic_hdf5",
        file=FILE,
        env=taken.contract.name,
        times=TIMES,
        velocity={POSITION: VELOCITY} if taken.has_velocity else {},
        success="rewards" if taken.has_success else None,
        objects=keys,
        images={name: IMAGE.format(camera=name) for name in taken.cameras},
    )


def _object_key(taken: Taken, field: str) -> str:
    return f"obs/{taken.objects}_{field}"


def _put(group: Any, key: str, values: np.ndarray, names: tuple[str, ...]) -> None:
    dataset = group.create_dataset(key, data=values, compression="gzip")
    dataset.attrs["names"] = json.dumps(list(names))


def _put_pictures(group: Any, camera: str, shown: FramePictures) -> int:
    """A picture for each frame, one in memory at a time; how many were spoilt."""
    size = shown.height, shown.width, 3
    made = group.create_dataset(
        IMAGE.format(camera=camera),
        (len(shown), *size),
        np.uint8,
        chunks=(1, *size),
        compression="gzip",
        compression_opts=1,
    )
    for row, pixels in enumerate(shown.pixels()):
        made[row] = pixels
    return shown.spoilt


def _put_masks(file: Any, names: list[str], valid: float) -> None:
    count = min(len(names) - 1, max(1, round(valid * len(names)))) if valid else 0
    parts = {"train": names[: len(names) - count], "valid": names[len(names) - count :]}
    for key, part in parts.items():
        if part:
            file[f"mask/{key}"] = np.array([name.encode() for name in part])
