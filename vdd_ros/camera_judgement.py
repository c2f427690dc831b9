"""What a recorder says of all cameras of an episode, when it is stopped."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from vdd_ros.bag import describe
from vdd_ros.bag_mending import Mended, mend
from vdd_ros.camera_images import CAMERAS, CameraImages
from vdd_ros.camera_verdict import judge_camera
from vdd_ros.camera_writer import CamerasClosed, camera_topics
from vdd_ros.contract import Contract
from vdd_ros.durable import make_folder, sync_folder
from vdd_ros.episode import StreamData
from vdd_ros.errors import UserError
from vdd_ros.manifest import StreamSummary
from vdd_ros.part import QUARANTINE
from vdd_ros.timing_verdict import Finding


class CamerasJudged(NamedTuple):
    """summaries: by camera, for the manifest; findings: for the verdict."""

    summaries: dict[str, StreamSummary] = {}
    findings: tuple[Finding, ...] = ()


def judge_cameras(
    contract: Contract,
    path: Path,
    closed: CamerasClosed,
    streams: Mapping[str, StreamData],
    started_ns: int,
    stopped_ns: int,
) -> CamerasJudged:
    """The cameras of a recording between two times of the ROS clock, from its bag of pictures,
    which is mended first where its writer did not finish it. Raises OSError where that fails."""
    findings, summaries = [], {}
    if closed.fault is not None:
        mended = mend_cameras(path)
        last_ns = mended.received_ns[1] if mended is not None and mended.messages else started_ns
        seconds = (last_ns - started_ns) * 1e-9
        reason = f"images are missing from {seconds:.2f} s on: {closed.fault}"
        findings.append(Finding("FAIL", reason))
        if mended is None:
            shutil.rmtree(path.parent, ignore_errors=True)
            return CamerasJudged({}, tuple(findings))
    for name in contract.cameras:
        try:
            images = CameraImages(path, contract, name)
            judged = judge_camera(
                contract,
                images,
                streams,
                started_ns,
                stopped_ns,
                closed.lost.get(name, 0),
                closed.missing.get(name, 0),
            )
        except UserError as error:
            findings.append(Finding("FAIL", f"{name} cannot be judged: {error}"))
            continue
        summaries[name] = judged.summary
        findings += judged.findings
    return CamerasJudged(summaries, tuple(findings))


def set_images_aside(folder: Path, part: Path, name: str) -> Path:
    """Take the pictures of a recording out of it, as they are, into the quarantine of its folder;
    where they lie then. Raises OSError where they stay."""
    # by another name than the recording would get there, which would then count as set aside
    aside, number = folder / QUARANTINE / f"{name}_{CAMERAS}", 1
    make_folder(aside.parent)
    while aside.exists():
        number += 1
        aside = aside.with_name(f"{name}_{CAMERAS}.{number}")
    (part / CAMERAS).rename(aside)
    with suppress(OSError):  # moved they are, whether or not the disk confirms it
        for one in (aside.parent, part):
            sync_folder(one)
    return aside


def mend_cameras(path: Path) -> Mended | None:
    """Give a bag of pictures whose writer was killed its ending and its description; None where it
    ends before anything that could be kept. Raises OSError."""
    mended = mend(path) if path.is_file() else None
    if mended is None or mended.contract is None:
        return None
    topics = camera_topics(mended.contract)
    counts = {name: mended.counts.get(topic.recorded_topic, 0) for name, topic in topics.items()}
    describe(path, topics, counts, mended.received_ns)
    sync_folder(path.parent)
    return mended
