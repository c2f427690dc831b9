"""PartFiles: what a recording in hand has on the disk: its folder, messages, pictures, journal."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vdd_ros.bag import BagWriter
from vdd_ros.camera_images import CAMERAS
from vdd_ros.camera_judgement import CamerasJudged
from vdd_ros.contract import Contract
from vdd_ros.durable import lock_folder
from vdd_ros.episode_pictures import CameraRecorder, EpisodePictures
from vdd_ros.errors import UserError
from vdd_ros.manifest import FileSummary, files_of
from vdd_ros.part import JOURNAL, Journal


class PartFiles:
    """fault: why what is there is not whole; None while nothing failed. pictures: None without
    cameras."""

    def __init__(self, part: Path, name: str, contract: Contract, cameras: CameraRecorder | None):
        """Begins to write in the new folder `part`, which is this process's alone until `let_go`;
        raises UserError or OSError where that cannot be."""
        self.part = part
        part.mkdir()
        lock = lock_folder(part)
        if lock is None:
            raise UserError(f"another process has just taken {part}: start again")
        self._lock = lock
        self.fault: str | None = None
        self.pictures: EpisodePictures | None = None
        self._journal: Journal | None = None  # as it is on the disk
        try:
            self.bag = BagWriter(part, name, contract)
            if cameras is not None:
                self.pictures = EpisodePictures(cameras, contract, part, name)
        except (OSError, UserError):
            self.give_up()
            raise

    def give_up(self) -> None:
        """It does not begin after all; nothing of it is left."""
        if self.pictures is not None:
            self.pictures.abort()
        self.let_go()
        shutil.rmtree(self.part, ignore_errors=True)

    def write(self, stream: str, data: bytes, received_ns: int) -> None:
        """One message; nothing more after a fault."""
        with self._noting_faults():
            if self.fault is None:
                self.bag.write(stream, data, received_ns)

    def flush(self) -> None:
        """What came is brought to the file."""
        with self._noting_faults():
            if self.fault is None:
                self.bag.flush()

    def close(self) -> None:
        """Nothing that comes later is in it; messages and pictures are on the disk on return, or
        there is a fault."""
        with self._noting_faults():
            if self.fault is None:
                self.bag.close()
        self.bag.abort()
        if self.pictures is not None:
            self.pictures.stop()

    def discard(self) -> None:
        """Nothing of it is left."""
        self.bag.abort()
        if self.pictures is not None:
            self.pictures.discard()
        shutil.rmtree(self.part)

    def let_go(self) -> None:
        """Others may have the folder."""
        os.close(self._lock)

    def write_journal(self, known: Journal, counts: bool) -> None:
        """To the disk where it changed; counts: also where no more than counts did, for which
        streams should not wait for the disk every second. Raises OSError."""
        before = self._journal
        if before is None or (known != before if counts else known.kinds != before.kinds):
            known.write(self.part)
            self._journal = known

    def summaries(self) -> dict[str, FileSummary]:
        """Of what is to be an episode, by name: all but the journal. Pictures are on the disk on
        return, or left out."""
        files = files_of(self.part, self.part)
        files.pop(JOURNAL, None)
        return files if self.pictures is None else files | self.pictures.files()

    @property
    def written_bytes(self) -> int:
        """Of messages and pictures."""
        folders = (self.part, self.part / CAMERAS)
        return sum(path.stat().st_size for folder in folders for path in folder.glob("*.mcap"))

    @property
    def judged(self) -> CamerasJudged:
        """What is known of the pictures."""
        return CamerasJudged() if self.pictures is None else self.pictures.judged

    @property
    def lost(self) -> dict[str, int]:
        """Pictures that did not arrive, by camera."""
        return {} if self.pictures is None else self.pictures.lost

    @property
    def missing(self) -> dict[str, int]:
        """Gaps in the numbers of who published them, likewise."""
        return {} if self.pictures is None else self.pictures.missing

    @contextmanager
    def _noting_faults(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.fault = f"writing failed: {error.strerror}"
