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


class Segment(NamedTuple):
    """From the first to the last command of a person, by stamps [ns]."""

    begin_ns: int
    end_ns: int


def takeovers(contract: Contract, streams: Mapping[str, StreamData]) -> list[Segment] | None:
    """Where a person drove in an episode of a policy; None where no policy was there.

    A person drives from a teleoperated command on until none has come for the stream's `max_age_s`,
    and only while the robot is sent commands: what a leader says to an arm that was stopped is no
    demonstration.
    """
    if not is_of_policy(streams):
        return None
    asked, sent = (
        _spans(contract, streams, name) for name in ("teleop_command", contract.action.stream)
    )
    both = [
        Segment(max(one.begin_ns, other.begin_ns), min(one.end_ns, other.end_ns))
        for one in asked
        for other in sent
    ]
    return sorted(segment for segment in both if segment.begin_ns < segment.end_ns)


def _spans(contract: Contract, streams: Mapping[str, StreamData], name: str) -> list[Segment]:
    """Where messages of a stream come without a pause longer than its `max_age_s`."""
    data = streams.get(name)
    if data is None or not len(data):
        return []
    stamps_ns = np.sort(data.stamps_ns)
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
