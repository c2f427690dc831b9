"""The pictures of a recording in hand: a bag of their own beside the joints, never in their way."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from vdd_ros.camera_images import CAMERAS, camera_bag
from vdd_ros.camera_judgement import CamerasJudged, judge_cameras, set_images_aside
from vdd_ros.camera_swap import swap_findings
from vdd_ros.camera_writer import CamerasClosed
from vdd_ros.contract import Contract
from vdd_ros.durable import sync_folder
from vdd_ros.episode import StreamData
from vdd_ros.manifest import FileSummary, files_of
from vdd_ros.timing_verdict import Finding


class CameraRecorder(Protocol):
    """Who writes the pictures of an episode: a `CameraProcess`, or a `CameraWriter` in this one."""

    def start(self, part: Path, name: str) -> None: ...
    def stop(self) -> CamerasClosed: ...
    def summary(self) -> FileSummary | None: ...
    def abort(self) -> None: ...


class EpisodePictures:
    """Of one recording, written by `cameras` into a folder of its part.

    What the disk does not give back is left out, and the verdict says so: whole joints are saved
    without it.
    """

    def __init__(self, cameras: CameraRecorder, contract: Contract, part: Path, name: str):
        """Begins to write; raises UserError or OSError where that cannot be."""
        self._cameras, self._contract = cameras, contract
        self._part, self._name = part, name
        self.judged = CamerasJudged()
        self._closed: CamerasClosed | None = None
        self._is_left_out = False
        self._aside: Path | None = None  # where they lie, once they are left out
        cameras.start(part, name)

    def stop(self) -> None:
        """No picture that comes later is in it."""
        self._closed = self._cameras.stop()

    def abort(self) -> None:
        """Let go of what is written."""
        self._cameras.abort()

    def discard(self) -> None:
        """Let go of it, and remove what was set aside; the rest goes with the part."""
        self.abort()
        if self._aside is not None:
            shutil.rmtree(self._aside, ignore_errors=True)

    @property
    def lost(self) -> dict[str, int]:
        """Pictures that did not arrive, by camera, as far as it is known."""
        return {} if self._closed is None else dict(self._closed.lost)

    @property
    def missing(self) -> dict[str, int]:
        """Gaps in the numbers of who published them, likewise."""
        return {} if self._closed is None else dict(self._closed.missing)

    def judge(self, streams: Mapping[str, StreamData], started_ns: int, stopped_ns: int) -> None:
        """Look at the pictures between two times of the ROS clock, once they are stopped."""
        if self._closed is None or self._is_left_out:
            return
        try:
            judged = judge_cameras(
                self._contract, self._bag, self._closed, streams, started_ns, stopped_ns
            )
            swapped = swap_findings(self._contract, self._bag, self._part.parent)
            self.judged = judged._replace(findings=(*judged.findings, *swapped))
        except OSError as error:
            self._leave_out(error)

    def files(self) -> dict[str, FileSummary]:
        """What there is of them, on the disk on return; nothing where it had to be left out now."""
        folder = self._part / CAMERAS
        if self._is_left_out or not folder.is_dir():
            return {}
        try:
            known = self._cameras.summary()
            found = files_of(self._part, folder, {} if known is None else {self._bag: known})
            sync_folder(folder)
        except OSError as error:
            self._leave_out(error)
            return {}
        return found

    @property
    def _bag(self) -> Path:
        return camera_bag(self._part, self._name)

    def _leave_out(self, error: OSError) -> None:
        """What there is of them is kept elsewhere; where that fails, too, it stays where it is, and
        no manifest names it."""
        self._is_left_out = True
        reason = f"it has no images: {error.strerror or error}"
        try:
            self._aside = set_images_aside(self._part.parent, self._part, self._name)
            reason += f"; what is there lies in {self._aside}"
        except OSError as failed:
            reason += f"; what is there could not be set aside ({failed.strerror or failed})"
        self.judged = CamerasJudged({}, (Finding("FAIL", reason),))
