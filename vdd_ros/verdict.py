"""Whether a recording is fit to learn from: rates, gaps, stamps, values, before it is saved.

A FAIL would stop a policy or teach it nonsense; a WARN is worth a look.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.episode import StreamData
from vdd_ros.manifest import Level, StreamSummary, Verdict
from vdd_ros.motion_verdict import motion_findings
from vdd_ros.recording_limits import RecordingLimits
from vdd_ros.takeover import is_of_policy

ONE_IN_TWENTY, FEW = 95, 0.05  # percentile, share
LEAST_COVERED = 0.5  # of a recording, by commands


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


def judge(
    contract: Contract,
    streams: dict[str, StreamData],
    started_ns: int,
    stopped_ns: int,
    lost: Mapping[str, int] | None = None,
    beside: Iterable[Finding] = (),
    missing: Mapping[str, int] | None = None,
) -> Verdict:
    """The verdict on the streams of one recording between two times of the ROS clock; lost: by
    stream, messages that the middleware says did not arrive; beside: what else was found; missing:
    by stream, gaps in the numbers that publishers give their messages."""
    observed = {part.stream for part in contract.observation}
    limits = contract.recording
    findings: list[Finding] = [*beside]
    seconds = (stopped_ns - started_ns) * 1e-9
    if seconds < limits.shortest_s:
        findings.append(
            Finding("WARN", f"it is {seconds:.2f} s short (at least {limits.shortest_s:g})")
        )
    # beside a policy a person drives now and then
    paused = {"teleop_command"} if is_of_policy(streams) else set()
    for name, data in streams.items():
        stream = contract.streams[name]
        if len(data) == 0:
            if name in observed or name == contract.action.stream:
                reason = f"{name} has no complete message ({stream.topic})"
                findings.append(Finding("FAIL", reason))
            continue
        found = [*_rates(stream, data, name in paused, limits), *_times(stream, data)]
        found += _values(contract, name, data)
        found += losses((lost or {}).get(name, 0), (missing or {}).get(name, 0))
        if name in observed:
            found += _gaps(stream, data, started_ns, stopped_ns)
            found += _jitter(stream, data, limits)
        elif name == contract.action.stream and not is_of_policy(streams):
            found += [*_pauses(stream, data), *_covered(data, started_ns, stopped_ns)]
        findings += [Finding(level, f"{name} {reason}") for level, reason in found]
    findings += _skew({name: streams[name] for name in sorted(observed & set(streams))}, limits)
    if streams.keys() >= {"joint_state", contract.action.stream}:
        odd = motion_findings(contract, streams, limits)
        findings += [Finding("WARN", reason) for reason in odd]
    return verdict_of(findings)


def verdict_of(findings: Sequence[Finding]) -> Verdict:
    """The worst of what was found, and all of it in words."""
    levels = {finding.level for finding in findings}
    worst: Level = "FAIL" if "FAIL" in levels else "WARN" if "WARN" in levels else "PASS"
    return Verdict(level=worst, reasons=tuple(f"{reason} ({level})" for level, reason in findings))


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
        *_rates(stream, data, False, limits),
        *_times(stream, data),
        *_gaps(stream, data, started_ns, stopped_ns),
        *_jitter(stream, data, limits),
    ]


def _rates(
    stream: Timed, data: StreamData, paused: bool, limits: RecordingLimits
) -> Iterator[Finding]:
    """paused: whether the stream may pause, which its median interval does not count."""
    rate = summarise(data).rate_hz
    if paused and len(data) > 1:
        rate = 1e9 / max(1.0, float(np.median(np.diff(data.received_ns))))
    if rate < limits.rate_warn * stream.rate_hz:
        level: Level = "FAIL" if rate < limits.rate_fail * stream.rate_hz else "WARN"
        yield Finding(level, f"came at {rate:.1f} Hz instead of {stream.rate_hz:g}")


def _gaps(stream: Timed, data: StreamData, started_ns: int, stopped_ns: int) -> Iterator[Finding]:
    times_s = np.concatenate([[started_ns], data.received_ns, [stopped_ns]]) * 1e-9
    gaps = np.diff(times_s)
    longest = int(gaps.argmax())
    if gaps[longest] > stream.max_age_s:
        yield Finding(
            "FAIL",
            f"was silent for {gaps[longest]:.3f} s from {times_s[longest] - times_s[0]:.2f} s on "
            f"(at most {stream.max_age_s:g})",
        )


def _jitter(stream: Timed, data: StreamData, limits: RecordingLimits) -> Iterator[Finding]:
    """How unevenly it came; gaps that are too long are told apart."""
    intervals_s = np.diff(data.received_ns) * 1e-9
    if len(intervals_s) < 20:
        return
    from_median = np.abs(intervals_s - np.median(intervals_s))
    jitter_s = float(np.percentile(from_median, ONE_IN_TWENTY))
    if jitter_s * stream.rate_hz > limits.jitter:
        yield Finding(
            "WARN",
            f"came unevenly: one interval in twenty is {jitter_s * 1e3:.1f} ms or more from the "
            f"median (at most {limits.jitter / stream.rate_hz * 1e3:.1f})",
        )


def _skew(streams: dict[str, StreamData], limits: RecordingLimits) -> Iterator[Finding]:
    """Whether streams that are seen together are as old as each other when they come."""
    delays_s = {
        name: float(np.median(data.received_ns - data.stamps_ns)) * 1e-9
        for name, data in streams.items()
        if len(data)
    }
    if not delays_s:
        return
    slow, quick = max(delays_s, key=delays_s.__getitem__), min(delays_s, key=delays_s.__getitem__)
    if (skew_s := delays_s[slow] - delays_s[quick]) > limits.skew_s:
        yield Finding(
            "WARN",
            f"{slow} comes {skew_s:.3f} s later after its stamp than {quick} (at most "
            f"{limits.skew_s:g}): is one of them late, or a clock off?",
        )


def _times(stream: Timed, data: StreamData) -> Iterator[Finding]:
    if backwards := int((np.diff(data.received_ns) < 0).sum()):
        yield Finding("FAIL", f"was received while the clock jumped back ({backwards} times)")
    steps_ns = np.diff(data.stamps_ns)
    if (steps_ns < 0).sum() > FEW * len(steps_ns):
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
    if far.mean() > FEW:
        yield Finding(
            "WARN",
            f"has {int(far.sum())} stamps far from their receipt (more than {stream.max_age_s:g} "
            f"s): did a clock jump?",
        )


def _pauses(stream: Timed, data: StreamData) -> Iterator[Finding]:
    """Between commands a policy is taught what lies on a straight line."""
    pauses_s = np.diff(data.received_ns) * 1e-9
    if len(pauses_s) and pauses_s.max() > stream.max_age_s:
        yield Finding(
            "WARN",
            f"paused for {pauses_s.max():.3f} s (at most {stream.max_age_s:g}): commands in "
            f"between are made up",
        )


def _covered(data: StreamData, started_ns: int, stopped_ns: int) -> Iterator[Finding]:
    """A policy learns from the first command to the last."""
    covered_s = float(data.received_ns.max() - data.received_ns.min()) * 1e-9
    seconds = (stopped_ns - started_ns) * 1e-9
    if covered_s < LEAST_COVERED * seconds:
        yield Finding("WARN", f"covers {covered_s:.1f} s of {seconds:.1f}: nothing else is learned")


def _values(contract: Contract, name: str, data: StreamData) -> Iterator[Finding]:
    if data.incomplete:
        subject = "an object" if contract.streams[name].is_of_objects else "a joint"
        yield Finding("WARN", f"lacks {subject} of the contract in {data.incomplete} messages")
    used = {"position"} | {part.field for part in contract.observation if part.stream == name}
    for field in sorted(used & set(data.fields)):
        if bad := int((~np.isfinite(data.fields[field]).all(axis=1)).sum()):
            yield Finding("FAIL", f"has {bad} messages whose {field} is missing or not finite")
    if contract.streams[name].is_of_objects:
        return
    position = data.fields["position"]
    # a tenth of the range: more than a controller overshoots, less than degrees for radians
    beyond = contract.beyond(position, 0.1).any(axis=0)
    if beyond.any():
        joints = ", ".join(np.array(contract.joint_names)[beyond])
        yield Finding("WARN", f"leaves the position limits at {joints}: is the unit right?")
