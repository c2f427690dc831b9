"""CameraWriter: pictures into a bag of their own, as they come; a state machine without ROS.

It has a process of its own (`camera_process.py`), so that megabytes of images never stand before a
joint state. For the same reason they have a bag of their own: nothing is copied when an episode is
saved, and who learns from joints alone need not read past images.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import NamedTuple

from vdd_ros.bag import BagForm, BagWriter, Recorded, Topic
from vdd_ros.camera_images import CAMERAS
from vdd_ros.contract import Contract
from vdd_ros.contract_cameras import CAMERA_INFO
from vdd_ros.durable import lock_folder, sync_folder
from vdd_ros.manifest import FileSummary
from vdd_ros.publisher_numbers import Origin, PublisherNumbers

CHUNK_BYTES = 4 * 1024 * 1024  # four raw pictures of 640x480; half a second where they are smaller


class CamerasClosed(NamedTuple):
    """lost: pictures that did not arrive, by camera, as far as the middleware tells; fault: why
    pictures are missing from some moment on, None where all that came were written; missing: gaps
    in the numbers of who published them, likewise by camera."""

    lost: Mapping[str, int]
    fault: str | None
    missing: Mapping[str, int] = {}


def camera_topics(contract: Contract) -> dict[str, Recorded]:
    """What is recorded of cameras, by name: their pictures, and their intrinsics where told."""
    topics: dict[str, Recorded] = dict(contract.cameras)
    for name, camera in contract.cameras.items():
        if camera.camera_info is not None:
            info = Topic(camera.camera_info, CAMERA_INFO, True, camera.depth, camera.reliability)
            topics[f"{name}.camera_info"] = info
    return topics


class CameraWriter:
    """Times are ns of the ROS clock. A fault of the disk ends the writing, not the process."""

    def __init__(self, contract: Contract):
        self.contract = contract
        self.topics = camera_topics(contract)
        self.received = dict.fromkeys(self.topics, 0)  # recorded or not
        self.newest_ns: dict[str, int] = {}  # when the last of each came
        self._form = BagForm(CHUNK_BYTES, contract.recording.of_images.compression)
        self._bag: BagWriter | None = None
        self._lock: int | None = None
        self._lost: dict[str, int] = {}
        self._numbers = PublisherNumbers()
        self._fault: str | None = None
        self._sum: Future[FileSummary] | None = None

    def start(self, part: Path, name: str) -> None:
        """Begin a bag within the folder of a recording; raises OSError."""
        folder = part / CAMERAS
        folder.mkdir()
        self._lock = lock_folder(folder)
        self._lost, self._fault, self._sum = {}, None, None
        self._numbers.begin()
        try:
            self._bag = BagWriter(
                folder, f"{name}_{CAMERAS}", self.contract, topics=self.topics, form=self._form
            )
        except OSError:
            self.abort()
            raise

    def add(self, name: str, data: bytes, received_ns: int, origin: Origin | None = None) -> None:
        """Append one message as it came; outside a recording it is only counted."""
        self.received[name] += 1
        self.newest_ns[name] = received_ns
        if self._bag is None or self._fault is not None:
            return
        if origin is not None:
            self._numbers.note(name, origin)
        try:
            self._bag.write(name, data, received_ns)
        except OSError as error:
            self._fault = f"writing failed: {error.strerror}"

    def add_lost(self, name: str, count: int) -> None:
        """Note messages that were sent and did not arrive; outside a recording it is ignored."""
        if self._bag is not None:
            self._lost[name] = self._lost.get(name, 0) + count

    def sync(self) -> None:
        """To be called once a second: what came is on the disk then, and never so much waits to be
        written that others wait for the disk."""
        if self._bag is None or self._fault is not None:
            return
        try:
            self._bag.sync()
        except OSError as error:
            self._fault = f"writing failed: {error.strerror}"

    @property
    def fault(self) -> str | None:
        """Why pictures of the recording that is going on are missing, None where none are."""
        return self._fault

    def stop(self) -> CamerasClosed:
        """Finish the bag; all of it is on the disk on return. Its checksum is begun: it takes a
        second or two for a gigabyte, and who decides to save takes longer."""
        if self._bag is not None and self._fault is None:
            try:
                self._bag.close()
                sync_folder(self._bag.path.parent)
                self._sum = in_thread(FileSummary.of, self._bag.path)
            except OSError as error:
                self._fault = f"writing failed: {error.strerror}"
        self.abort()
        return CamerasClosed(self._lost, self._fault, self._numbers.missing)

    def summary(self) -> FileSummary | None:
        """Of the bag that was finished last, waited for; None where it was not, or is gone."""
        try:
            return None if self._sum is None else self._sum.result()
        except OSError:
            return None

    def abort(self) -> None:
        """Let go of the bag, whatever state it is in."""
        if self._bag is not None:
            self._bag.abort()
        if self._lock is not None:
            os.close(self._lock)
        self._bag = self._lock = None


def in_thread(work: Callable[[Path], FileSummary], path: Path) -> Future[FileSummary]:
    """Work that goes on beside; a process that ends does not wait for it."""
    future: Future[FileSummary] = Future()

    def run() -> None:
        try:
            future.set_result(work(path))
        except OSError as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future
