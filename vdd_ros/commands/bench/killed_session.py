"""A session of recordings that goes on until its process is killed: started by `recorder_kill`.

    python -m vdd_ros.commands.bench.killed_session FOLDER LOG CONTRACT SEED FAULT

Joint states at 200 Hz and commands at 100 Hz, in real time, into episodes of a fifth of a second to
two and a half, most of which are saved; what cannot be saved is left where the recorder sets it
aside. Where the contract has cameras, their pictures are published at 20 Hz, and the process that
writes them for `recorder_node` writes them here. What was done is in LOG, line by line, before and
after it is.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import struct
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vdd_ros.camera_process import CameraProcess
from vdd_ros.cdr import NS_PER_S, joints_cdr
from vdd_ros.contract import Contract
from vdd_ros.demo_recorder import DemoRecorder, State
from vdd_ros.errors import UserError
from vdd_ros.manifest import Manifest

FSYNC, FULL_DISK = "fsync", "full-disk"
PERIOD_NS = 5_000_000
TICKS_PER_PICTURE = 10
SHARE_SAVED, SHARE_FAILING = 0.8, 0.2
LEAST_FREE = 8 * 1024
SHARE_FILLED, LEFT_BYTES = 0.5, 48 * 1024  # by somebody else; what room that leaves at most
GUARD_NS = 1_000_000_000
LENGTHS_S = (0.2, 2.5)
KEPT = 100  # pictures by their publisher, of a camera: what comes late is sent again
LOOK_S = 0.01


def session(
    folder: Path, log: int, contract: Contract, rng: np.random.Generator, fault: str = ""
) -> None:
    """Record, save or discard, and begin again."""
    ballast = Ballast(folder, rng) if fault == FULL_DISK else None
    cameras = Cameras(contract, log) if contract.cameras else None
    recorder = DemoRecorder(
        contract,
        folder,
        "episode",
        "avoid",
        least_free=LEAST_FREE,
        cameras=None if cameras is None else cameras.process,
    )
    middle = (contract.limit("lower") + contract.limit("upper")) / 2
    tell(log, "ready")
    parent = os.getppid()
    while os.getppid() == parent:  # who was to kill it may itself have been
        try:
            recorder.start(time.time_ns(), "2026-01-01T00:00:00+00:00")
        except (UserError, OSError) as error:
            tell(log, "refused", why=str(error))
            time.sleep(0.2)
            continue
        tell(log, "began", name=recorder.name)
        try:
            feed(recorder, cameras, log, middle, rng.uniform(*LENGTHS_S), rng, ballast)
            end(recorder, log, keep=rng.random() < SHARE_SAVED)
        except (UserError, OSError) as error:
            if recorder.state is not State.IDLE:  # as an operator would
                recorder.set_aside(time.time_ns())
            tell(log, "failed", name=recorder.name, why=str(error))
        if ballast is not None:
            ballast.remove()  # a person makes room


def end(recorder: DemoRecorder, log: int, keep: bool) -> None:
    """Stop it where it has not been, then save or discard it; raises UserError or OSError where the
    disk does not allow that."""
    tell(log, "stopping", name=recorder.name)
    if recorder.state is State.RECORDING:
        recorder.stop(time.time_ns())
    if not keep:
        tell(log, "discarding", name=recorder.name)
        recorder.discard()
        return
    tell(log, "saving", name=recorder.name)
    recorder.save(time.time_ns())
    saved(log, recorder.folder / recorder.name)


def feed(
    recorder: DemoRecorder,
    cameras: Cameras | None,
    log: int,
    middle: np.ndarray,
    seconds: float,
    rng: np.random.Generator,
    ballast: Ballast | None,
) -> None:
    """Messages as they would come over the wire, with numbers that do not compress, and the guard
    as often as the recorder's node calls it; raises UserError or OSError where that ends them."""
    streams = recorder.contract.streams
    began_ns = guarded_ns = time.time_ns()
    ticks = round(seconds * 1e9 / PERIOD_NS)
    full_at = rng.integers(ticks) if ballast is not None and rng.random() < SHARE_FILLED else None
    for tick in range(ticks):
        if tick == full_at and ballast is not None:
            ballast.fill()
        if time.time_ns() - guarded_ns > GUARD_NS:
            guarded_ns = time.time_ns()
            recorder.guard(guarded_ns)
        if recorder.state is not State.RECORDING:
            return
        time.sleep(max(0, began_ns + tick * PERIOD_NS - time.time_ns()) * 1e-9)
        for name in ("joint_state", "robot_command")[: 1 + (tick + 1) % 2]:
            now_ns = time.time_ns()
            position = middle + 0.1 * rng.random(len(middle))
            recorder.add(
                name, joints_cdr(streams[name], recorder.contract, position, now_ns), now_ns
            )
            if recorder.fault is None:
                tell(log, "took", name=recorder.name, ns=now_ns)
        if tick % TICKS_PER_PICTURE == 0 and cameras is not None:
            cameras.send(recorder.name)


class Ballast:
    """Somebody else, who fills the disk on which episodes are recorded."""

    def __init__(self, folder: Path, rng: np.random.Generator):
        self._path, self._rng = folder / ".ballast", rng

    def fill(self) -> None:
        """But for a little."""
        size = shutil.disk_usage(self._path.parent).free - int(self._rng.integers(LEFT_BYTES))
        with self._path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, size))

    def remove(self) -> None:
        """There is room again."""
        self._path.unlink(missing_ok=True)


class Cameras:
    """Who publishes the pictures of all cameras of a contract, and the process that writes them."""

    def __init__(self, contract: Contract, log: int):
        import rclpy
        from rclpy.node import Node
        from rclpy.signals import SignalHandlerOptions

        from vdd_ros.nodes.bench_sources import messages_of
        from vdd_ros.nodes.messages import message_class, qos_of

        self._log = log
        program = [sys.executable, "-m", "vdd_ros.nodes.camera_recorder"]
        self.process = CameraProcess(program, contract, partial(tell, log, "cameras ended"))
        self.process.begin()
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        node = Node("killed_session")
        self._pictures = {name: messages_of(contract, name) for name in contract.cameras}
        self._publishers = {
            name: node.create_publisher(message_class(one.type), one.topic, qos_of(one, KEPT))
            for name, one in contract.cameras.items()
        }
        self._sent = 0
        if not self.process.wait_ready():
            raise UserError(self.process.fault or "the process that writes pictures does not begin")
        while not all(one.get_subscription_count() for one in self._publishers.values()):
            time.sleep(LOOK_S)

    def send(self, name: str) -> None:
        """A picture of each camera, for the episode of a name."""
        for camera, publisher in self._publishers.items():
            message = self._pictures[camera][self._sent % len(self._pictures[camera])]
            now_ns = time.time_ns()
            struct.pack_into("<iI", message, 4, *divmod(now_ns, NS_PER_S))
            publisher.publish(bytes(message))
            if self.process.fault is None:
                tell(self._log, "took", name=name, ns=now_ns)
        self._sent += 1


def saved(log: int, folder: Path) -> None:
    """Tell what an episode is made of."""
    files = {name: file.sha256 for name, file in Manifest.read(folder).files.items()}
    tell(log, "saved", name=folder.name, files=files)


def tell(log: int, what: str, why: str = "", **more: object) -> None:
    """One line, which outlives this process once it is written."""
    said = {"what": what, **more} | ({"why": why} if why else {})
    os.write(log, json.dumps(said).encode() + b"\n")


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
    session(Path(folder), descriptor, Contract.from_yaml(contract), rng, fault)


if __name__ == "__main__":
    main(*sys.argv[1:])
