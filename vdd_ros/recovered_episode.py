"""Episodes of what is left over: of a killed recorder, or of a disk that did not take the end.

What lies in the quarantine goes through a recorder once more, message by message, and so is judged,
saved and logged as any other; its journal says what the operator had said of it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

from vdd_ros.bag_salvage import Salvaged, salvage
from vdd_ros.beside import Beside
from vdd_ros.camera_images import CAMERAS, CameraImages, camera_bag
from vdd_ros.camera_judgement import mend_cameras
from vdd_ros.camera_writer import CamerasClosed
from vdd_ros.contract import Contract
from vdd_ros.demo_recorder import DemoRecorder, State
from vdd_ros.durable import link_or_copy, lock_folder, sync_file, sync_folder
from vdd_ros.episode import EpisodeStore
from vdd_ros.episode_log import append, saved
from vdd_ros.errors import UserError
from vdd_ros.manifest import ClockSummary, FileSummary
from vdd_ros.part import PART_PREFIX, QUARANTINE, Journal
from vdd_ros.recording_limits import RecordingLimits
from vdd_ros.timing_verdict import Finding

RECOVERED = "recovered"  # in `meta`: what it was made of
# Who was killed had brought pictures to the disk a second before, joints half a second.
KILLED_NS = 1_500_000_000
MADE_PREFIX = ".made-"
NOT_SAVED = "it was never saved"


class LeftOver(NamedTuple):
    """What lies in the quarantine under a name. contents: of joints; images: by camera, empty where
    there are none that can be read; journal: None where nothing is known but the messages."""

    name: str
    folder: Path
    contents: Salvaged
    images: dict[str, CameraImages]
    journal: Journal | None

    @classmethod
    def read(cls, folder: Path, name: str) -> LeftOver:
        """That of a folder of episodes; raises UserError where there is none, OSError where the
        disk does not give it."""
        own = folder / QUARANTINE / name
        recording = own / f"{name}_0.mcap"
        if Path(name).name != name or not recording.is_file():
            raise UserError(
                f"no recording {name!r} in {folder / QUARANTINE}: without a name they are listed"
            )
        contents = salvage(recording)
        images = dict(_images(contents.contract, camera_bag(own, name)))
        return cls(name, own, contents, images, Journal.read(own))

    @property
    def times_ns(self) -> tuple[int, int]:
        """When it began and ended, on the ROS clock. One that was killed ends where the first of
        its files does, so that nothing is silent at its end but what was silent before."""
        received = [message.received_ns for message in self.contents.messages]
        begun, ended = min(received, default=0), max(received, default=0)
        if self.journal is not None:
            begun = self.journal.started_ns
            if self.journal.stopped_ns is not None:
                return begun, self.journal.stopped_ns
        last = [int(one.received_ns[-1]) for one in self.images.values() if len(one)]
        return begun, min([ended, *(time for time in last if ended - time < KILLED_NS)])

    @property
    def why(self) -> str:
        """Why it is no episode, as a clause."""
        told = None if self.journal is None else self.journal.damage
        return told or self.contents.damage or NOT_SAVED


def make_episode(left: LeftOver) -> tuple[str, str]:
    """An episode of what is left over, under its own name where that is free; that name, and what
    was said of it. What it was made of is removed once the episode is there and the log has it.
    Raises UserError where it cannot be, and OSError; nothing is lost then."""
    folder = left.folder.parent.parent
    held = lock_folder(left.folder)
    if held is None:
        raise UserError(f"another process is making an episode of {left.name}: wait for it")
    try:
        name, told = made_before(folder, left), "was there already"
        if name is None:
            name, told = _record(folder, left)
        store = EpisodeStore(folder)
        store.load(name)
        store.check_images(name)
        if name not in store.log().kept:  # who saved it was ended, or the disk did not confirm it
            sync_folder(folder)
            append(folder, [saved(folder, name)])
        _remove(left)
    finally:
        os.close(held)
    return name, told


def made_before(folder: Path, left: LeftOver) -> str | None:
    """The episode that was made of it by a process that was ended before it had tidied up."""
    if _is_free(folder, left.name):
        return None
    store, begun_ns = EpisodeStore(folder), left.times_ns[0]
    for name in sorted(store.list(), key=lambda one: one != left.name):  # most likely its own
        try:
            manifest = store.manifest(name)
        except UserError:
            continue
        note = manifest.meta.get(RECOVERED)
        is_of_it = isinstance(note, dict) and note.get("from") == left.name
        if is_of_it and manifest.started_ns == begun_ns:
            return name
    return None


def _record(folder: Path, left: LeftOver) -> tuple[str, str]:
    contract, messages = left.contents.contract, left.contents.messages
    if contract is None or not messages:
        why = left.contents.damage or "it is empty"
        raise UserError(f"no message of {left.name} can be read ({why}): look into {left.folder}")
    begun_ns, ended_ns = left.times_ns
    known = left.journal or Journal(
        task=contract.name,
        started=datetime.fromtimestamp(begun_ns * 1e-9, timezone.utc).isoformat(timespec="seconds"),
        started_ns=begun_ns,
        has_cameras=bool(left.images),
    )
    recorder = DemoRecorder(
        contract,
        folder,
        left.name.rpartition("_")[0] or left.name,
        known.task,
        known.provenance,
        least_free=2 * (left.folder / f"{left.name}_0.mcap").stat().st_size,
        cameras=_KeptPictures(left, known) if known.has_cameras else None,
        calibration=known.calibration,
    )
    recorder.beside = _KnownClocks(known)
    recorder.start(begun_ns, known.started, left.name if _is_free(folder, left.name) else None)
    try:
        recorder.numbers.missing |= {
            n: c for n, c in known.missing.items() if n in contract.streams
        }
        for stream, count in known.lost.items():
            if stream in contract.streams:
                recorder.add_lost(stream, count)
        kept = [message for message in messages if message.received_ns <= ended_ns]
        for message in kept:
            recorder.add(message.stream, message.data, message.received_ns)
        note: dict[str, object] = {"from": left.name, "why": left.why}
        if left.journal is None:
            note["unknown"] = "who demonstrated it, and what was said of it"
        recorder.annotate(known.meta | {RECOVERED: note})
        recorder.stop(ended_ns)
        told = recorder.save(ended_ns)
    finally:
        if recorder.state is not State.IDLE:
            recorder.discard()
    return recorder.name, told


def _is_free(folder: Path, name: str) -> bool:
    """Whether an episode may have this name; its number was never used for another."""
    there = (folder / name).exists() or (folder / f"{PART_PREFIX}{name}").exists()
    return not there and name not in EpisodeStore(folder).log().names


def _images(contract: Contract | None, path: Path) -> Iterator[tuple[str, CameraImages]]:
    if contract is None or not path.is_file():
        return
    for name in contract.cameras:
        try:
            yield name, CameraImages(path, contract, name)
        except UserError:  # the verdict will say why
            return


def _remove(left: LeftOver) -> None:
    """A file that was damaged stays: there may be more in it."""
    damaged = left.folder / f"{left.name}_damaged.mcap"
    if damaged.is_file():
        damaged.rename(left.folder.parent / damaged.name)
    left.folder.rename(left.folder.with_name(f"{MADE_PREFIX}{left.name}"))
    sync_folder(left.folder.parent)
    tidy_up(left.folder.parent.parent)


def tidy_up(folder: Path) -> None:
    """Remove what episodes were made of. It is given another name first: half removed it would be
    taken for something else."""
    for path in (folder / QUARANTINE).glob(f"{MADE_PREFIX}*"):
        shutil.rmtree(path, ignore_errors=True)


class _KnownClocks(Beside):
    """What had been found of clocks."""

    def __init__(self, journal: Journal):
        super().__init__()
        self._journal = journal

    def findings(self, limits: RecordingLimits) -> Iterator[Finding]:
        yield from self._journal.beside

    def clocks(self) -> dict[str, ClockSummary]:
        return self._journal.clocks


class _KeptPictures:
    """A recorder of pictures that are there already: linked to where the file system can."""

    def __init__(self, left: LeftOver, journal: Journal):
        self._left, self._journal = left, journal
        self._fault: str | None = None

    def start(self, part: Path, name: str) -> None:
        target = part / CAMERAS
        target.mkdir()
        for path in (self._left.folder / CAMERAS).glob(f"{self._left.name}_*"):
            own = target / path.name.replace(self._left.name, name, 1)
            link_or_copy(path, own)
            with own.open("rb") as file:
                sync_file(file)
        bag = camera_bag(part, name)
        if not bag.is_file() or mend_cameras(bag) is None:
            self._fault = "nothing of them can be read"

    def stop(self) -> CamerasClosed:
        return CamerasClosed(self._journal.lost, self._fault, self._journal.missing)

    def summary(self) -> FileSummary | None:
        return None

    def abort(self) -> None:
        """There is nothing to let go of."""
