"""Takeovers: the parts of a policy's episode in which a person drove.

They are what a policy has to learn yet: demonstrations from where it had got to (Ross et al. 2011,
DAgger; as interventions Kelly et al. 2019, HG-DAgger). The rest of such an episode is the policy's
own doing and nothing to learn from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.episode import StreamData

_NO_STAMPS = np.zeros(0, dtype=np.int64)


class Segment(NamedTuple):
    """From the first to the last command of a person, by stamps [ns]."""

    begin_ns: int
    end_ns: int


def takeovers(contract: Contract, streams: Mapping[str, StreamData]) -> list[Segment] | None:
    """Where a person drove in an episode of a policy; None where no policy was there.

    A person drives from a teleoperated command that the gate could follow (`_usable`) on until none
    has come for the stream's `max_age_s`, and only while the robot is sent commands: what a leader
    says to an arm that was stopped, or with a clock that is off, is no demonstration.
    """
    if not is_of_policy(streams):
        return None
    told = streams.get("teleop_command")
    led = told.stamps_ns[_usable(contract, told)] if told is not None else _NO_STAMPS
    commands = streams.get(contract.action.stream)
    asked = _spans(contract, "teleop_command", led)
    sent = _spans(
        contract, contract.action.stream, _NO_STAMPS if commands is None else commands.stamps_ns
    )
    both = [
        Segment(max(one.begin_ns, other.begin_ns), min(one.end_ns, other.end_ns))
        for one in asked
        for other in sent
    ]
    return sorted(segment for segment in both if segment.begin_ns < segment.end_ns)


def _usable(contract: Contract, told: StreamData) -> np.ndarray:
    """(N,) of a leader's messages, which of them the gate could follow: whole, finite, stamped no
    further from when they came than `max_age_s`, and newer than the usable ones before."""
    most_ns = contract.streams["teleop_command"].max_age_s * 1e9
    good = np.abs(told.received_ns - told.stamps_ns) <= most_ns
    good &= np.isfinite(told.fields["position"]).all(axis=1)
    stamps_ns = np.where(good, told.stamps_ns, np.iinfo(np.int64).min)
    newest_ns = np.maximum.accumulate(stamps_ns)
    good[1:] &= stamps_ns[1:] > newest_ns[:-1]
    return good


def _spans(contract: Contract, name: str, stamps_ns: np.ndarray) -> list[Segment]:
    """Where messages of a stream, stamped (N,) [ns], come without a pause longer than its
    `max_age_s`."""
    if not len(stamps_ns):
        return []
    stamps_ns = np.sort(stamps_ns)
    last = np.flatnonzero(np.diff(stamps_ns) > contract.streams[name].max_age_s * 1e9)
    begins = stamps_ns[np.concatenate([[0], last + 1])]
    ends = stamps_ns[np.concatenate([last, [len(stamps_ns) - 1]])]
    return [Segment(int(begin), int(end)) for begin, end in zip(begins, ends, strict=True)]


def is_of_policy(streams: Mapping[str, StreamData]) -> bool:
    """Whether a policy took part in an episode."""
    policy = streams.get("policy_command")
    return policy is not None and len(policy) > 0


def in_seconds(segments: list[Segment], started_ns: int) -> list[list[float]]:
    """Begin and end of each since the episode began [s]."""
    return [[round((time - started_ns) * 1e-9, 3) for time in segment] for segment in segments]
