"""DemoRecorder: start, stop, save or discard one demonstration; a state machine without ROS.

While it lasts, a recording lives in `<folder>/.part-<name>`; `save` makes it durable and renames
it to `<folder>/<name>` in one step, so that an episode is there whole or not at all. What a killed
process leaves behind is found and set aside by `vdd_ros.recovery`, and so is what cannot be saved.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from vdd_ros.bag import read_bag
from vdd_ros.beside import Beside
from vdd_ros.calibration_file import calibration_warnings
from vdd_ros.contract import Contract
from vdd_ros.disk_watch import SMALLEST_FREE_BYTES, DiskWatch, Look
from vdd_ros.durable import make_folder, sync_folder, write_text
from vdd_ros.episode import decode
from vdd_ros.episode_log import append, saved
from vdd_ros.episode_notes import noted
from vdd_ros.episode_pictures import CameraRecorder
from vdd_ros.errors import UserError
from vdd_ros.fitness import is_imported, worse_of
from vdd_ros.manifest import (
    FILE_NAME,
    Calibration,
    FileSummary,
    Manifest,
    Provenance,
    software_version,
)
from vdd_ros.part import JOURNAL, PART_PREFIX, Journal, next_name
from vdd_ros.part_files import PartFiles
from vdd_ros.publisher_numbers import Origin, PublisherNumbers
from vdd_ros.recording_judgement import NOT_JUDGED, RecordingJudged, judge_recording
from vdd_ros.recovery import quarantine
from vdd_ros.timing_verdict import Finding
from vdd_ros.verdict import verdict_of


class State(Enum):
    IDLE = "idle"
    RECORDING = "recording"
    STOPPED = "stopped"


class Room(NamedTuple):
    """free: bytes; seconds: for which a recording can go on as it does, None where none does."""

    free: int
    seconds: float | None


class DemoRecorder:
    """Every command returns one sentence for the operator, or raises UserError with one.

    Times are ns of the ROS clock; `started` is the wall clock as ISO 8601 text.
    """

    def __init__(
        self,
        contract: Contract,
        folder: str | Path,
        name_prefix: str,
        task: str,
        provenance: Provenance | None = None,
        least_free: int = SMALLEST_FREE_BYTES,
        cameras: CameraRecorder | None = None,
        calibration: Calibration | None = None,
        steady_ns: Callable[[], int] = time.monotonic_ns,
    ):
        """least_free: bytes of room below which no recording begins; below half of it, or of what
        is written in some seconds, one that is going on is stopped, while there is still room to
        save it; cameras: None, and those of the contract are not recorded; steady_ns: a clock that
        nobody sets."""
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name_prefix):
            raise UserError(
                f"name_prefix {name_prefix!r}: begin with a letter or digit, then also _ and -"
            )
        self.contract = contract
        self.folder = Path(folder)
        self.name_prefix = name_prefix
        self.task = task
        self.provenance = provenance or Provenance()
        self._disk = DiskWatch(least_free)
        self._steady_ns = steady_ns
        self.cameras = cameras
        self.calibration = calibration
        self.beside = Beside()
        self.started_ns = 0  # of the newest recording
        self.numbers = PublisherNumbers()
        self.state = State.IDLE
        self.saved = 0  # episodes, by this recorder
        self.last_saved = ""  # the name of the newest of them
        self.name = ""
        self.meta: dict = {}
        self.verdict = NOT_JUDGED
        self._recording: PartFiles | None = None  # the newest

    def start(self, now_ns: int, started: str, name: str | None = None) -> str:
        """Open a new recording; nothing received before this moment is in it. name: of the episode,
        where it has one already; otherwise it gets the next one of the folder."""
        self._require("start", State.IDLE)
        make_folder(self.folder)
        free = shutil.disk_usage(self.folder).free
        if free < (least := self._disk.least_to_begin):
            raise UserError(
                f"only {free >> 20} MiB are free in {self.folder}, a recording begins with "
                f"{int(least) >> 20} or more: make room first"
            )
        self.name = name or next_name(self.folder, self.name_prefix)
        part = self.folder / f"{PART_PREFIX}{self.name}"
        self._recording = PartFiles(part, self.name, self.contract, self.cameras)
        self._started, self.started_ns = started, now_ns
        self._stopped_ns: int | None = None
        self.meta, self.verdict = {}, NOT_JUDGED
        self._lost: dict[str, int] = {}
        self._of_streams = RecordingJudged()
        self.numbers.begin()
        self.beside.begin()
        try:
            self._write_journal()
        except (OSError, UserError):
            self._files.give_up()
            raise
        self._disk.begin()
        self._disk.note(Look(self._steady_ns(), 0, free))
        self.state = State.RECORDING
        return f"recording {self.name}"

    def add(self, stream: str, data: bytes, received_ns: int, origin: Origin | None = None) -> None:
        """Append one message as it came; outside a recording it is ignored."""
        if self.state is not State.RECORDING or self.fault:
            return
        if origin is not None:
            self.numbers.note(stream, origin)
        self._files.write(stream, data, received_ns)

    def add_lost(self, stream: str, count: int) -> None:
        """Note messages that were sent and did not arrive; outside a recording it is ignored."""
        if self.state is State.RECORDING:
            self._lost[stream] = self._lost.get(stream, 0) + count

    def annotate(self, items: Mapping[str, object]) -> str:
        """Add JSON key-values to the episode's `meta`, such as the way that was taken; they are on
        the disk on return, or that is said."""
        self._require("annotate", State.RECORDING, State.STOPPED)
        self.meta = noted(self.meta, items)
        told = f"noted {', '.join(items):.80} for {self.name}"
        try:
            self._write_journal()
        except OSError as error:
            return f"{told}; it is kept only once the episode is saved ({error.strerror})"
        return told

    def stop(self, now_ns: int) -> str:
        """Close the recording, read it back and judge it, before anybody decides to save it."""
        self._require("stop", State.RECORDING)
        self.state = State.STOPPED
        self._stopped_ns = now_ns
        self._files.close()
        with suppress(OSError):  # what it says of the end is for one that is never saved
            self._write_journal()
        self._judge()
        return f"stopped {self.name} after {self._duration_s:.1f} s, {self.verdict}"

    def _judge(self) -> None:
        """Read the recording back and judge it; raises OSError where it cannot be read now, and
        UserError where it is not whole: then it is set aside."""
        now_ns = self._stopped_ns or 0
        files = self._files
        contents = read_bag(files.bag.path)
        files.fault = files.fault or contents.damage
        self._require_whole()
        streams = decode(self.contract, contents.messages)
        if files.pictures is not None:
            files.pictures.judge(streams, self.started_ns, now_ns)
        odd = calibration_warnings(
            self.calibration, self.folder, self._started, self.contract.recording
        )
        beside = [Finding("WARN", reason) for reason in odd]
        beside += [*self.beside.findings(self.contract.recording), *files.judged.findings]
        judged = judge_recording(
            self.contract,
            streams,
            self.started_ns,
            now_ns,
            self._lost,
            self.numbers.missing,
            beside,
            files.judged.summaries,
            is_imported(self.meta),
        )
        self._of_streams, self.verdict = judged, judged.verdict
        self.meta |= judged.meta

    def save(self, now_ns: int) -> str:
        """Make the episode durable under its own name; stops first where that was not done. One
        that is not whole is set aside, and UserError says so."""
        self._require("save", State.RECORDING, State.STOPPED)
        if self.state is State.RECORDING:
            self.stop(now_ns)
        if self.verdict is NOT_JUDGED:  # stopping was broken off
            self._judge()
        self._require_whole()
        part, summaries = self._files.part, self._files.summaries()
        if self._files.pictures is not None:
            self.verdict = worse_of(self.verdict, verdict_of(self._files.judged.findings))
        write_text(part / FILE_NAME, self._manifest(summaries).to_json())
        sync_folder(part)
        final = self.folder / self.name
        part.rename(final)
        self._finish()  # from here on the episode is there, whatever the disk says
        self.saved, self.last_saved = self.saved + 1, self.name
        try:
            sync_folder(self.folder)
            append(self.folder, [saved(self.folder, self.name)])
            (final / JOURNAL).unlink(missing_ok=True)  # the manifest has it all
        except OSError as error:
            return (
                f"saved {final}, {self.verdict}; but the disk does not confirm it "
                f"({error.strerror}): look after it before the power goes"
            )
        return f"saved {final}, {self.verdict}"

    def room(self) -> Room:
        """What the disk has left; raises OSError where the folder is gone."""
        there = self.folder if self.folder.exists() else self.folder.absolute().parent
        free = shutil.disk_usage(there).free
        if self.state is not State.RECORDING:
            return Room(free, None)
        self._disk.note(Look(self._steady_ns(), self._files.written_bytes, free))
        return Room(free, self._disk.seconds(free))

    def elapsed_s(self, now_ns: int) -> float | None:
        """How long the episode in hand is [s], None between episodes."""
        if self.state is State.RECORDING:
            return (now_ns - self.started_ns) * 1e-9
        return self._duration_s if self.state is State.STOPPED else None

    def guard(self, now_ns: int) -> str | None:
        """To be called once a second: brings what came to the file, also while nothing comes, and
        stops a recording before the disk is full, and says so."""
        if self.state is not State.RECORDING:
            return None
        self._files.flush()
        with suppress(OSError):  # it is tried again in a second
            self._write_journal(counts=False)
        if self.room().free >= self._disk.reserve:
            return None
        return f"{self.stop(now_ns)}; the disk is almost full: save it, then make room"

    def discard(self) -> str:
        """Drop the recording; nothing of it is left."""
        self._require("discard", State.RECORDING, State.STOPPED)
        self._files.discard()
        self._finish()
        return f"discarded {self.name}"

    def set_aside(self, now_ns: int) -> str:
        """Keep the recording, as far as it can be read, without an episode of it; the next one may
        begin. `vdd dataset recover` makes an episode of it, as of what a killed recorder left."""
        self._require("set aside", State.RECORDING, State.STOPPED)
        if self.state is State.RECORDING:
            self._stopped_ns = now_ns
            self._files.close()
        with suppress(OSError):  # as it was written before
            self._write_journal()
        left = quarantine(self._files.part)
        self._finish()
        if left.path == self._files.part:  # the disk does not give or take it now
            return f"{left}; the next recorder sets it aside"
        if not (left.messages or left.images or left.is_damaged):
            shutil.rmtree(left.path, ignore_errors=True)
            return f"nothing of {self.name} can be read, and nothing is kept"
        images = f" and {left.images} of cameras" if left.images else ""
        return (
            f"{self.name} is set aside: {left.messages} messages{images} are kept in {left.path}; "
            f"`vdd dataset recover {self.folder} {self.name}` makes an episode of it"
        )

    def close(self) -> None:
        """Let go of an unsaved recording when the process ends; it stays for recovery."""
        if self.state is State.RECORDING:
            self._files.close()
        if self.state is not State.IDLE:
            self._finish()

    @property
    def fault(self) -> str | None:
        """Why the current recording cannot be saved."""
        return None if self._recording is None else self._recording.fault

    @property
    def _files(self) -> PartFiles:
        """Of the recording in hand."""
        assert self._recording is not None, "there is none between episodes"
        return self._recording

    @property
    def _duration_s(self) -> float:
        return ((self._stopped_ns or 0) - self.started_ns) * 1e-9

    def _write_journal(self, counts: bool = True) -> None:
        """What is known beside the messages, as `PartFiles.write_journal` does."""
        files = self._files
        known = Journal(
            task=self.task,
            started=self._started,
            started_ns=self.started_ns,
            stopped_ns=self._stopped_ns,
            has_cameras=files.pictures is not None,
            provenance=self.provenance,
            calibration=self.calibration,
            clocks=self.beside.clocks(),
            meta=self.meta,
            lost=self._lost | files.lost,
            missing=self.numbers.missing | files.missing,
            beside=tuple(self.beside.findings(self.contract.recording)),
            damage=self.fault,
        )
        files.write_journal(known, counts)

    def _manifest(self, files: dict[str, FileSummary]) -> Manifest:
        return Manifest(
            name=self.name,
            status="saved",
            task=self.task,
            started=self._started,
            started_ns=self.started_ns,
            duration_s=round(self._duration_s, 4),
            verdict=self.verdict,
            provenance=self.provenance,
            calibration=self.calibration,
            clocks=self.beside.clocks(),
            response_s=self._of_streams.responses_s,
            meta=self.meta,
            streams=self._of_streams.summaries,
            cameras=self._files.judged.summaries,
            files=files,
            software=software_version(),
            interface_hash=self.contract.interface_hash,
            contract_hash=self.contract.contract_hash,
            contract=self.contract,
        )

    def _require(self, command: str, *allowed: State) -> None:
        if self.state not in allowed:
            names = " or ".join(state.value for state in allowed)
            raise UserError(f"cannot {command} while {self.state.value}, only while {names}")

    def _require_whole(self) -> None:
        """Nothing is thrown away because some of it is missing."""
        if self.fault:
            told = self.set_aside(self._stopped_ns or 0)
            raise UserError(f"{self.name} cannot be saved as it is ({self.fault}): {told}")

    def _finish(self) -> None:
        self._files.let_go()
        self.state = State.IDLE
