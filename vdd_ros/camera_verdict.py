"""Whether the pictures of a recording are fit to learn from: as said, alive, and showing something.

A few pictures a second are looked at, and never more than a fixed number, one in memory at a time:
a long recording takes no longer to judge, and what is short in it may be overlooked.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from vdd_ros.camera_images import CameraImages
from vdd_ros.contract import Contract
from vdd_ros.episode import StreamData
from vdd_ros.errors import UserError
from vdd_ros.images import content_of, decode_image, frame_of, grey
from vdd_ros.manifest import Level, StreamSummary
from vdd_ros.recording_limits import ImageLimits
from vdd_ros.timing_verdict import Finding, losses, summarise, timing_findings


class Look(NamedTuple):
    """One picture. fault: why it is none, and then the rest says nothing; frame: of its header;
    level, spread: mean and standard deviation of its grey levels; change: mean difference from the
    picture looked at before; same: whether it is that picture again, byte for byte."""

    time_ns: int
    fault: str | None
    frame: str = ""
    level: float = 0.0
    spread: float = 0.0
    change: float = math.inf
    same: bool = False


class CameraJudgement(NamedTuple):
    """summary: counts, for the manifest; findings: for the verdict."""

    summary: StreamSummary
    findings: list[Finding]


def judge_camera(
    contract: Contract,
    images: CameraImages,
    streams: Mapping[str, StreamData],
    started_ns: int,
    stopped_ns: int,
    lost: int,
    missing: int,
) -> CameraJudgement:
    """What is to be said of a camera between two times of the ROS clock, beside the joints of
    `streams`; lost: pictures that the middleware says did not arrive; missing: gaps in the numbers
    of who published them."""
    data = StreamData(images.stamps_ns, images.received_ns, {})
    has_stamps = images.camera.timeline == "header"
    if len(images) == 0:  # which is said of the whole recording (`verdict.judge`)
        return CameraJudgement(summarise(data, lost, has_stamps, missing), [])
    seen = list(looks(images, contract.recording.of_images))
    unreadable = sum(look.fault is not None for look in seen)
    found = timing_findings(images.camera, data, started_ns, stopped_ns, contract.recording)
    found += losses(lost, missing, "pictures")
    limits = contract.recording.of_images
    found += [*_faults(seen, limits), *_frames(images, seen), *_blank(seen, limits)]
    found += _frozen(contract, seen, streams, limits)
    summary = summarise(data, lost, has_stamps, missing)
    summary = summary.model_copy(update={"incomplete": unreadable})
    return CameraJudgement(summary, _named(images.name, found))


def _named(name: str, findings: list[Finding]) -> list[Finding]:
    return [Finding(level, f"{name} {reason}") for level, reason in findings]


def looks(images: CameraImages, limits: ImageLimits) -> Iterator[Look]:
    """Pictures spread evenly over the recording."""
    seconds = float(np.ptp(images.received_ns)) * 1e-9
    count = min(len(images), limits.most_looks, math.ceil(seconds * limits.looks_hz) + 1)
    digest, before = None, None
    for number in np.unique(np.linspace(0, len(images) - 1, count).round().astype(int)):
        time_ns = int(images.stamps_ns[number])
        data = images.message(number)
        try:
            frame = frame_of(data)
            pixels = grey(decode_image(images.camera, data))
        except UserError as error:
            digest, before = None, None
            yield Look(time_ns, str(error))
            continue
        content = content_of(data)
        change = math.inf if before is None else float(np.abs(pixels - before).mean())
        same = content == digest
        yield Look(time_ns, None, frame, float(pixels.mean()), float(pixels.std()), change, same)
        digest, before = content, pixels


def _faults(seen: list[Look], limits: ImageLimits) -> Iterator[Finding]:
    faults = [look.fault for look in seen if look.fault is not None]
    if faults:
        level: Level = "FAIL" if len(faults) > limits.spoilt * len(seen) else "WARN"
        yield Finding(
            level, f"has {len(faults)} of {len(seen)} pictures that cannot be used: {faults[0]}"
        )


def _frames(images: CameraImages, seen: list[Look]) -> Iterator[Finding]:
    found = {look.frame for look in seen if look.fault is None} - {images.camera.frame}
    if found:
        yield Finding(
            "WARN",
            f"is in the frame {sorted(found)[0]!r:.80} instead of {images.camera.frame!r}: are two "
            "cameras swapped?",
        )


def _blank(seen: list[Look], limits: ImageLimits) -> Iterator[Finding]:
    good = [look for look in seen if look.fault is None]
    blank = [look for look in good if look.spread < limits.uniform]
    if blank and len(blank) > limits.blank * len(good):
        what = "is black" if max(look.level for look in blank) < limits.black else "shows nothing"
        yield Finding(
            "FAIL",
            f"{what} in {len(blank)} of {len(good)} pictures looked at (at most "
            f"{limits.blank:.0%}): is its lens covered, or its light off?",
        )


def _frozen(
    contract: Contract,
    seen: list[Look],
    streams: Mapping[str, StreamData],
    limits: ImageLimits,
) -> Iterator[Finding]:
    """The longest time for which pictures stayed the same while a joint moved."""
    runs = [
        run
        for run in _still_runs(seen, limits.still)
        if (run[-1].time_ns - run[0].time_ns) * 1e-9 >= limits.frozen_s
        and _moved(contract, streams["joint_state"], run[0].time_ns, run[-1].time_ns)
    ]
    if not runs:
        return
    longest = max(runs, key=lambda run: run[-1].time_ns - run[0].time_ns)
    seconds = (longest[-1].time_ns - longest[0].time_ns) * 1e-9
    if all(look.same for look in longest[1:]):
        yield Finding("FAIL", f"stood still for {seconds:.1f} s while the arm moved: is it frozen?")
    else:
        yield Finding(
            "WARN", f"hardly changed for {seconds:.1f} s while the arm moved: does it see the arm?"
        )


def _still_runs(seen: list[Look], still: float) -> Iterator[list[Look]]:
    run: list[Look] = []
    for look in seen:
        if look.fault is None and look.change <= still:
            run.append(look)
            continue
        if len(run) > 1:
            yield run
        run = [] if look.fault is not None else [look]
    if len(run) > 1:
        yield run


def _moved(contract: Contract, joints: StreamData, begin_ns: int, end_ns: int) -> bool:
    """Whether some joint went through more of its range than an arm that stands does."""
    during = (joints.stamps_ns >= begin_ns) & (joints.stamps_ns <= end_ns)
    position = joints.fields["position"][during]
    position = position[np.isfinite(position).all(axis=1)]
    if len(position) < 2:
        return False
    shares = np.ptp(position, axis=0) / contract.span
    return bool(shares.max() > contract.recording.least_motion)
