"""Foreign recordings become episodes: all of them or none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from vdd_ros.bag import RawMessage
from vdd_ros.camera_writer import CameraWriter
from vdd_ros.cdr import NOTHING, joints_cdr, poses_cdr
from vdd_ros.contract import Contract
from vdd_ros.datasets.checks import (
    findings,
    odd_lengths,
    require_plausible,
    require_sound,
    small_motions,
)
from vdd_ros.datasets.converted import Converted, convert
from vdd_ros.datasets.description import EpisodeFacts
from vdd_ros.datasets.imported_pictures import require_rates, write_pictures
from vdd_ros.datasets.own_recorder import OwnRecorder
from vdd_ros.datasets.readers import READERS
from vdd_ros.datasets.recording import OneAtATime, Recordings
from vdd_ros.datasets.rosbag2 import PICTURES
from vdd_ros.datasets.source import Source
from vdd_ros.durable import sync_folder
from vdd_ros.errors import UserError
from vdd_ros.fitness import EXPORTED_AS, IMPORTED_FROM, worse_of
from vdd_ros.manifest import FileSummary, Provenance

FIRST_STAMP_NS = 1_000_000_000  # of every episode; zero would mean "no stamp"
ON_THE_GRID_S = 1e-4  # LeRobot's own tolerance between a stamp and its frame's number over fps
UNKNOWN_DATE = "unknown"


class Imported(NamedTuple):
    """One episode made of a recording. findings: clauses worth knowing; verdict: of the
    episode, where it was exported the worse of what was said then and what is found now; not_read:
    what of the recording is not in it."""

    name: str
    recording: str
    frames: int
    seconds: float
    findings: tuple[str, ...]
    verdict: str
    not_read: tuple[str, ...] = ()


Checked = OneAtATime[tuple[Converted, tuple[str, ...]]]


def read(path: Path, source: Source) -> Recordings:
    """Every recording of a dataset; raises UserError where it is not what was declared."""
    _require_file(path, source)
    return READERS[source.format.kind](path, source, source.format)


def _require_file(path: Path, source: Source) -> None:
    declared = source.origin.sha256
    if declared is None or not path.is_file():
        return
    found = FileSummary.of(path).sha256
    if found != declared:
        raise UserError(
            f"{path} is not the file that the source declares: its sha256 is {found[:12]}..., not "
            f"{declared[:12]}...; get that one, or declare this one"
        )


def check(
    recordings: Recordings, source: Source, contract: Contract, is_own: bool = False
) -> Checked:
    """Recordings in the contract's terms, each with its findings; raises UserError at a fault.

    is_own: it is an export of this project's own episodes, whose units nobody declared anew: what
    would be a fault of others is a finding. One recording is in memory at a time where they are
    read one by one; it is read again to be written.
    """
    if not len(recordings):
        raise UserError(f"{source.path} holds no episode; name another dataset")
    source.require_fits(contract)
    if not is_own:
        require_rates(contract.cameras, source.images, source.rate_hz)
    told, lengths, extents = [], [], []
    for recording in recordings:
        faults: list[str] = []
        with _noting(faults, is_own):
            require_sound(recording, source, contract)
        converted = convert(recording, source, contract)
        for pictures in converted.pictures.values():
            pictures.require_whole()
        if len(recording) > 1:
            with _noting(faults, is_own):
                require_plausible(converted, contract)
        more = findings(converted, contract) if len(recording) > 1 else ()
        told.append((*faults, *more))
        lengths.append(len(recording))
        extents.append(np.ptp(converted.state, axis=0))
    odd = odd_lengths(np.array(lengths))
    small = small_motions(extents, source, contract)

    def checked(number: int) -> tuple[Converted, tuple[str, ...]]:
        length = (f"odd length: {lengths[number]} frames",) if odd[number] else ()
        converted = convert(recordings[number], source, contract)
        return converted, (*small, *told[number], *length)

    return OneAtATime(len(lengths), checked)


@contextmanager
def _noting(faults: list[str], is_own: bool) -> Iterator[None]:
    try:
        yield
    except UserError as error:
        if not is_own:
            raise
        faults.append(str(error))


def write(
    checked: Checked,
    source: Source,
    contract: Contract,
    folder: Path,
    report: Callable[[int, int], None] = lambda done, count: None,
    facts: Mapping[str, EpisodeFacts] | None = None,
) -> list[Imported]:
    """Episodes in a new `folder`, which is there whole or not at all; raises UserError if it is
    there already. facts: of own episodes, by recording, what their manifests said."""
    if folder.exists() or folder.is_symlink():
        raise UserError(f"{folder} exists already; name a folder that does not, or remove it")
    if not folder.parent.is_dir():
        raise UserError(f"{folder.parent} is no folder: make it first, or name another place")
    imported = []
    try:
        with TemporaryDirectory(prefix=f".import-{folder.name}-", dir=folder.parent) as scratch:
            part = Path(scratch) / folder.name
            provenance = Provenance(licence=source.origin.licence)
            cameras = CameraWriter(contract) if source.images else None
            recorder = OwnRecorder(
                contract, part, "episode", source.task, provenance, cameras=cameras
            )
            for converted, found in checked:
                known = (facts or {}).get(converted.name)
                imported.append(_write_one(recorder, converted, found, source, known))
                report(len(imported), len(checked))
            part.rename(folder)
            sync_folder(folder.parent)
    except OSError as error:
        told = f"writing {folder} failed ({error.strerror}), and nothing is kept"
        raise UserError(f"{told}: mend that and repeat it") from None
    return imported


def _write_one(
    recorder: OwnRecorder,
    converted: Converted,
    found: tuple[str, ...],
    source: Source,
    facts: EpisodeFacts | None,
) -> Imported:
    contract = recorder.contract
    messages = converted.messages or _framed(converted, contract)
    first_ns, last_ns = messages[0].received_ns, messages[-1].received_ns
    started, stop_ns, name = UNKNOWN_DATE, last_ns + contract.policy_period_ns, None
    meta = {
        IMPORTED_FROM: source.origin.model_dump(mode="json", exclude_none=True),
        "recording": converted.name,
        "findings": list(found),
        **converted.meta,
    }
    if facts is not None:
        recorder.task, recorder.provenance = facts.task, facts.provenance
        started, name = facts.started, facts.name
        meta = {**facts.meta, EXPORTED_AS: source.format.kind}
    pictures = facts if facts is not None and facts.pictures and contract.cameras else None
    not_read = tuple(one for one in converted.not_read if one != PICTURES or pictures is None)
    if not_read:
        meta["not_read"] = list(not_read)
    recorder.facts = facts
    if converted.messages is not None:
        stop_ns = last_ns
        if facts is not None:
            first_ns = facts.started_ns
            stop_ns = first_ns + round(facts.duration_s * 1e9)
    recorder.start(first_ns, started, name)
    if pictures is not None:
        recorder.take_pictures(Path(converted.where), pictures)
    if isinstance(recorder.cameras, CameraWriter):
        try:
            write_pictures(recorder.cameras, converted.pictures, stamps(converted, contract))
        except UserError:
            recorder.discard()
            raise
    for message in messages:
        recorder.add(message.stream, message.data, message.received_ns)
    recorder.annotate(meta)
    recorder.stop(stop_ns)
    if facts is not None:
        recorder.verdict = worse_of(recorder.verdict, facts.verdict)
    name, verdict = recorder.name, str(recorder.verdict)
    if recorder.verdict.level == "FAIL" and facts is None:
        recorder.discard()
        raise UserError(
            f"{converted.where} would be an episode that is not fit to learn from, {verdict}: use "
            f"a contract whose observation and rates the dataset can give"
        )
    recorder.save(last_ns)
    times_s = converted.times_s
    seconds = float(times_s[-1] - times_s[0]) if len(times_s) else 0.0
    return Imported(name, converted.name, len(times_s), seconds, found, verdict, not_read)


def _framed(converted: Converted, contract: Contract) -> list[RawMessage]:
    """The messages that frames would have been: of every stream one per frame."""
    state, command = contract.streams["joint_state"], contract.streams[contract.action.stream]
    has_velocity = bool(np.isfinite(converted.velocity).all())
    messages = []
    for at, stamp_ns in enumerate(stamps(converted, contract).tolist()):
        velocity = converted.velocity[at] if has_velocity else NOTHING
        data = joints_cdr(state, contract, converted.state[at], stamp_ns, velocity)
        messages.append(RawMessage("joint_state", data, stamp_ns, stamp_ns))
        for name, poses in converted.objects.items():
            data = poses_cdr(contract.streams[name], contract, poses[at], stamp_ns)
            messages.append(RawMessage(name, data, stamp_ns, stamp_ns))
        data = joints_cdr(command, contract, converted.command[at], stamp_ns)
        messages.append(RawMessage(contract.action.stream, data, stamp_ns, stamp_ns))
    return messages


def stamps(converted: Converted, contract: Contract) -> np.ndarray:
    """(N,) [ns]. Frames on a grid get its exact times: in float32, or added up, a stamp lies now
    before and now after the tick that it belongs to, and a window would show another frame."""
    times_s = converted.times_s - converted.times_s[0]
    grid = np.arange(len(times_s))
    if (np.abs(times_s - grid / converted.rate_hz) < ON_THE_GRID_S).all():
        return FIRST_STAMP_NS + grid * round(1e9 / converted.rate_hz)
    return FIRST_STAMP_NS + np.round(times_s * 1e9).astype(np.int64)
