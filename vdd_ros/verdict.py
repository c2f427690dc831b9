"""Whether a recording is fit to learn from: rates, gaps, stamps, values, before it is saved.

A FAIL would stop a policy or teach it nonsense; a WARN is worth a look.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.episode import StreamData
from vdd_ros.leader_verdict import LEADER_STREAM, leader_findings
from vdd_ros.manifest import Level, StreamSummary, Verdict
from vdd_ros.motion_verdict import motion_findings
from vdd_ros.recording_limits import RecordingLimits
from vdd_ros.takeover import is_of_policy
from vdd_ros.timing_verdict import Finding, covered, gaps, jitter, losses, pauses, rates, times


def judge(
    contract: Contract,
    streams: dict[str, StreamData],
    started_ns: int,
    stopped_ns: int,
    lost: Mapping[str, int] | None = None,
    beside: Iterable[Finding] = (),
    missing: Mapping[str, int] | None = None,
    cameras: Mapping[str, StreamSummary] | None = None,
    imported: bool = False,
) -> Verdict:
    """The verdict on the streams of one recording between two times of the ROS clock; lost: by
    stream, messages that the middleware says did not arrive; beside: what else was found; missing:
    by stream, gaps in the numbers that publishers give their messages; cameras: what is there of
    their pictures, None where that is not to be judged; imported: whether it was recorded
    elsewhere, where the contract's cameras and leader may not have been."""
    observed = {part.stream for part in contract.observation}
    limits = contract.recording
    findings: list[Finding] = [*beside]
    seconds = (stopped_ns - started_ns) * 1e-9
    if seconds < limits.shortest_s:
        findings.append(
            Finding("WARN", f"it is {seconds:.2f} s short (at least {limits.shortest_s:g})")
        )
    # beside a policy a person drives now and then
    paused = {LEADER_STREAM} if is_of_policy(streams) else set()
    for name, data in streams.items():
        stream = contract.streams[name]
        if len(data) == 0:
            if name in observed or name == contract.action.stream:
                reason = f"{name} has no complete message ({stream.topic})"
                findings.append(Finding("FAIL", reason))
            continue
        found = [*rates(stream, data, name in paused, limits), *times(stream, data, limits)]
        found += _values(contract, name, data)
        found += losses((lost or {}).get(name, 0), (missing or {}).get(name, 0))
        if name in observed:
            found += gaps(stream, data, started_ns, stopped_ns)
            found += jitter(stream, data, limits)
        elif name == contract.action.stream and not is_of_policy(streams):
            found += [*pauses(stream, data), *covered(data, started_ns, stopped_ns, limits)]
        findings += [Finding(level, f"{name} {reason}") for level, reason in found]
    findings += _without_pictures(contract, cameras, imported)
    delays_s = _delays_s({name: streams[name] for name in sorted(observed & set(streams))})
    findings += _skew(delays_s | _camera_delays_s(cameras or {}), limits)
    if streams.keys() >= {"joint_state", contract.action.stream}:
        odd = [
            *motion_findings(contract, streams, limits),
            *leader_findings(contract, streams, limits, imported),
        ]
        findings += [Finding("WARN", reason) for reason in odd]
    return verdict_of(findings)


def verdict_of(findings: Sequence[Finding]) -> Verdict:
    """The worst of what was found, and all of it in words."""
    levels = {finding.level for finding in findings}
    worst: Level = "FAIL" if "FAIL" in levels else "WARN" if "WARN" in levels else "PASS"
    return Verdict(level=worst, reasons=tuple(f"{reason} ({level})" for level, reason in findings))


def _without_pictures(
    contract: Contract, cameras: Mapping[str, StreamSummary] | None, imported: bool
) -> Iterator[Finding]:
    """Cameras of the contract that showed nothing."""
    if cameras is None:
        return
    for name, camera in contract.cameras.items():
        if name not in cameras or cameras[name].count == 0:
            level: Level = "WARN" if imported else "FAIL"
            yield Finding(level, f"{name} has no picture ({camera.topic})")


def _delays_s(streams: Mapping[str, StreamData]) -> dict[str, float]:
    """By stream, the median from stamp to receipt."""
    return {
        name: float(np.median(data.received_ns - data.stamps_ns)) * 1e-9
        for name, data in streams.items()
        if len(data)
    }


def _camera_delays_s(cameras: Mapping[str, StreamSummary]) -> dict[str, float]:
    """The same of pictures, where they have stamps."""
    return {name: one.delay_s for name, one in cameras.items() if one.delay_s is not None}


def _skew(delays_s: Mapping[str, float], limits: RecordingLimits) -> Iterator[Finding]:
    """Whether what is seen together is as old as each other when it comes."""
    if not delays_s:
        return
    slow, quick = max(delays_s, key=delays_s.__getitem__), min(delays_s, key=delays_s.__getitem__)
    if (skew_s := delays_s[slow] - delays_s[quick]) > limits.skew_s:
        yield Finding(
            "WARN",
            f"{slow} comes {skew_s:.3f} s later after its stamp than {quick} (at most "
            f"{limits.skew_s:g}): is one of them late, or a clock off?",
        )


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
    yield from _outside(contract, name, data.fields["position"])


def _outside(contract: Contract, name: str, position: np.ndarray) -> Iterator[Finding]:
    """Joints that leave their limits: far, or often. A leader may often, as a gate limits it, and
    so may a joint without `tracking`, such as a gripper that stands at a soft stop."""
    limits, joints = contract.recording.of_motion, np.array(contract.joint_names)
    far = contract.beyond(position, limits.wrong_unit).any(axis=0)
    if far.any():
        told = ", ".join(joints[far])
        yield Finding("WARN", f"leaves the position limits at {told}: is the unit right?")
    if name not in ("joint_state", contract.action.stream):
        return
    share = contract.beyond(position, limits.restless).mean(axis=0)
    often = ~far & np.isfinite(contract.tracking) & (share > limits.beyond)
    if often.any():
        yield Finding(
            "WARN",
            f"is beyond the position limits at {', '.join(joints[often])} in "
            f"{share[often].max():.0%} of its messages (at most {limits.beyond:.0%})",
        )
