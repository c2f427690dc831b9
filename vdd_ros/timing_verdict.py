"""When the messages of a recording came: how often, evenly, late, and with which stamps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np

from vdd_ros.episode import StreamData
from vdd_ros.manifest import Level, StreamSummary
from vdd_ros.recording_limits import RecordingLimits

ONE_IN_TWENTY = 95  # percentile of delays


class Finding(NamedTuple):
    level: Level
    reason: str


class Timed(Protocol):
    """What a contract says of the time of a stream's or a camera's messages."""

    @property
    def rate_hz(self) -> float: ...
    @property
    def max_age_s(self) -> float: ...


def summarise(
    data: StreamData, lost: int = 0, has_stamps: bool = False, missing: int = 0
) -> StreamSummary:
    """The counts and times of one stream that go into the manifest."""
    delays_s = (data.received_ns - data.stamps_ns) * 1e-9
    told = has_stamps and len(data) > 0
    received_s = data.received_ns * 1e-9
    span = float(received_s[-1] - received_s[0]) if len(data) > 1 else 0.0
    return StreamSummary(
        count=len(data),
        incomplete=data.incomplete,
        rate_hz=round((len(data) - 1) / span, 2) if span > 0 else 0.0,
        longest_gap_s=round(float(np.diff(received_s).max()), 4) if len(data) > 1 else 0.0,
        lost=lost,
        missing=missing,
        delay_s=round(float(np.median(delays_s)), 6) if told else None,
        delay_p95_s=round(float(np.percentile(delays_s, ONE_IN_TWENTY)), 6) if told else None,
    )


def losses(lost: int, missing: int, what: str = "messages") -> Iterator[Finding]:
    """What did not arrive. A loss that the middleware tells of usually leaves a gap as well, so
    only gaps beyond that are told apart."""
    if lost:
        yield Finding("WARN", f"lost {lost} {what} on the way")
    if missing > lost:
        yield Finding("WARN", f"lacks {missing} {what} that its publishers counted")


def timing_findings(
    stream: Timed, data: StreamData, started_ns: int, stopped_ns: int, limits: RecordingLimits
) -> list[Finding]:
    """How often, evenly and late messages came that are wanted all the time; there are some."""
    return [
        *rates(stream, data, False, limits),
        *times(stream, data, limits),
        *gaps(stream, data, started_ns, stopped_ns),
        *jitter(stream, data, limits),
    ]


def rates(
    stream: Timed, data: StreamData, paused: bool, limits: RecordingLimits
) -> Iterator[Finding]:
    """How often it came. paused: whether it may pause, which its median interval does not count."""
    rate = summarise(data).rate_hz
    if paused and len(data) > 1:
        rate = 1e9 / max(1.0, float(np.median(np.diff(data.received_ns))))
    if rate < limits.rate_warn * stream.rate_hz:
        level: Level = "FAIL" if rate < limits.rate_fail * stream.rate_hz else "WARN"
        yield Finding(level, f"came at {rate:.1f} Hz instead of {stream.rate_hz:g}")


def gaps(stream: Timed, data: StreamData, started_ns: int, stopped_ns: int) -> Iterator[Finding]:
    """For how long it was silent, from the beginning of the recording to its end."""
    times_s = np.concatenate([[started_ns], data.received_ns, [stopped_ns]]) * 1e-9
    silences_s = np.diff(times_s)
    longest = int(silences_s.argmax())
    if silences_s[longest] > stream.max_age_s:
        yield Finding(
            "FAIL",
            f"was silent for {silences_s[longest]:.3f} s from "
            f"{times_s[longest] - times_s[0]:.2f} s on (at most {stream.max_age_s:g})",
        )


def jitter(stream: Timed, data: StreamData, limits: RecordingLimits) -> Iterator[Finding]:
    """How unevenly it came; gaps that are too long are told apart."""
    intervals_s = np.diff(data.received_ns) * 1e-9
    if len(intervals_s) < 20:
        return
    from_median = np.abs(intervals_s - np.median(intervals_s))
    few = limits.of_timing.few
    jitter_s = float(np.percentile(from_median, 100 * (1 - few)))
    if jitter_s * stream.rate_hz > limits.jitter:
        yield Finding(
            "WARN",
            f"came unevenly: one interval in {1 / few:.3g} is {jitter_s * 1e3:.1f} ms or more from "
            f"the median (at most {limits.jitter / stream.rate_hz * 1e3:.1f})",
        )


def times(stream: Timed, data: StreamData, limits: RecordingLimits) -> Iterator[Finding]:
    """Stamps and receipts: in order, and near each other."""
    few = limits.of_timing.few
    if backwards := int((np.diff(data.received_ns) < 0).sum()):
        yield Finding("FAIL", f"was received while the clock jumped back ({backwards} times)")
    steps_ns = np.diff(data.stamps_ns)
    if (steps_ns < 0).sum() > few * len(steps_ns):
        yield Finding("FAIL", f"has {int((steps_ns < 0).sum())} stamps that go backwards")
    elif disordered := int((steps_ns <= 0).sum()):
        yield Finding("WARN", f"has {disordered} stamps that do not increase")
    delay = float(np.median(data.received_ns - data.stamps_ns)) * 1e-9
    if abs(delay) > stream.max_age_s:
        yield Finding(
            "FAIL",
            f"is received {delay:.3f} s after its stamp (median; at most {stream.max_age_s:g}): "
            f"do the clocks agree?",
        )
        return
    far = np.abs(data.received_ns - data.stamps_ns) * 1e-9 > stream.max_age_s
    if far.mean() > few:
        yield Finding(
            "WARN",
            f"has {int(far.sum())} stamps far from their receipt (more than {stream.max_age_s:g} "
            f"s): did a clock jump?",
        )


def pauses(stream: Timed, data: StreamData) -> Iterator[Finding]:
    """Between commands a policy is taught what lies on a straight line."""
    pauses_s = np.diff(data.received_ns) * 1e-9
    if len(pauses_s) and pauses_s.max() > stream.max_age_s:
        yield Finding(
            "WARN",
            f"paused for {pauses_s.max():.3f} s (at most {stream.max_age_s:g}): commands in "
            f"between are made up",
        )


def covered(
    data: StreamData, started_ns: int, stopped_ns: int, limits: RecordingLimits
) -> Iterator[Finding]:
    """A policy learns from the first command to the last."""
    covered_s = float(data.received_ns.max() - data.received_ns.min()) * 1e-9
    seconds = (stopped_ns - started_ns) * 1e-9
    if covered_s < limits.of_timing.covered * seconds:
        yield Finding("WARN", f"covers {covered_s:.1f} s of {seconds:.1f}: nothing else is learned")
