"""A session of recordings that goes on until its process is killed: started by `recorder_kill`.

    python -m vdd_ros.commands.bench.killed_session FOLDER LOG CONTRACT SEED FAULT

Joint states at 200 Hz, commands at 100 Hz, and pictures at 20 Hz where the contract has cameras, in
real time, into episodes of a fifth of a second to
two and a half, most of which are saved. What was done is in LOG, line by line, before and
after it is.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from vdd_ros.camera_writer import CameraWriter
from vdd_ros.cdr import image_cdr, joints_cdr
from vdd_ros.contract import Contract
from vdd_ros.demo_recorder import DemoRecorder, State
from vdd_ros.errors import UserError
from vdd_ros.manifest import Manifest

FSYNC, FULL_DISK = "fsync", "full-disk"
PERIOD_NS = 5_000_000
TICKS_PER_PICTURE = 10
SHARE_SAVED, SHARE_FAILING = 0.8, 0.2
LEAST_FREE = 8 * 1024
LENGTHS_S = (0.2, 2.5)


def session(folder: Path, log: int, contract: Contract, rng: np.random.Generator) -> None:
    """Record, save or discard, and begin again."""
    writer = CameraWriter(contract) if contract.cameras else None
    recorder = DemoRecorder(
        contract, folder, "episode", "avoid", least_free=LEAST_FREE, cameras=writer
    )
    middle = (contract.limit("lower") + contract.limit("upper")) / 2
    tell(log, "ready")
    parent = os.getppid()
    while os.getppid() == parent:  # who was to kill it may itself have been
        try:
            recorder.start(time.time_ns(), "2026-01-01T00:00:00+00:00")
        except (UserError, OSError) as error:  # the disk is full: a person would make room
            tell(log, "refused", why=str(error))
            time.sleep(0.2)
            continue
        tell(log, "began", name=recorder.name)
        feed(recorder, log, middle, rng.uniform(*LENGTHS_S), rng)
        keep = rng.random() < SHARE_SAVED
        tell(log, "stopping", name=recorder.name)
        try:
            recorder.stop(time.time_ns())
            if keep:
                tell(log, "saving", name=recorder.name)
                recorder.save(time.time_ns())
                saved(log, folder / recorder.name)
                continue
        except (UserError, OSError) as error:
            tell(log, "failed", name=recorder.name, why=str(error))
        if recorder.state is not State.IDLE:
            tell(log, "discarding", name=recorder.name)
            with suppress(OSError):
                recorder.discard()


def feed(
    recorder: DemoRecorder,
    log: int,
    middle: np.ndarray,
    seconds: float,
    rng: np.random.Generator,
) -> None:
    """Messages as they would come over the wire, with numbers that do not compress."""
    streams = recorder.contract.streams
    began_ns = time.time_ns()
    for tick in range(round(seconds * 1e9 / PERIOD_NS)):
        time.sleep(max(0, began_ns + tick * PERIOD_NS - time.time_ns()) * 1e-9)
        for name in ("joint_state", "robot_command")[: 1 + (tick + 1) % 2]:
            now_ns = time.time_ns()
            position = middle + 0.1 * rng.random(len(middle))
            recorder.add(
                name, joints_cdr(streams[name], recorder.contract, position, now_ns), now_ns
            )
            if recorder.fault is None:
                tell(log, "took", name=recorder.name, ns=now_ns)
        if tick % TICKS_PER_PICTURE == 0 and isinstance(recorder.cameras, CameraWriter):
            feed_cameras(recorder.cameras, recorder.name, log, rng)


def feed_cameras(writer: CameraWriter, name: str, log: int, rng: np.random.Generator) -> None:
    """A picture of each camera, of pixels that do not compress."""
    for camera, one in writer.contract.cameras.items():
        now_ns = time.time_ns()
        pixels = rng.integers(0, 256, (one.height, one.width, 3), dtype=np.uint8)
        writer.add(camera, image_cdr(one, pixels, now_ns), now_ns)
        if writer.fault is None:
            tell(log, "took", name=name, ns=now_ns)


def saved(log: int, folder: Path) -> None:
    """Tell what an episode is made of."""
    files = {name: file.sha256 for name, file in Manifest.read(folder).files.items()}
    tell(log, "saved", name=folder.name, files=files)


def tell(log: int, what: str, **more: object) -> None:
    """One line, which outlives this process once it is written."""
    os.write(log, json.dumps({"what": what, **more}).encode() + b"\n")


def fail_at_times(rng: np.random.Generator) -> None:
    """From now on a disk that cannot be trusted: some calls of fsync fail."""
    real = os.fsync

    def fsync(descriptor: Any) -> None:
        if rng.random() < SHARE_FAILING:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(descriptor)

    os.fsync = fsync  # type: ignore[assignment]


def main(folder: str, log: str, contract: str, seed: str, fault: str) -> None:
    """As the arguments say, without end."""
    rng = np.random.default_rng(int(seed))
    if fault == FSYNC:
        fail_at_times(np.random.default_rng([int(seed), 1]))
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    session(Path(folder), descriptor, Contract.from_yaml(contract), rng)


if __name__ == "__main__":
    main(*sys.argv[1:])
