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

# By so much more of their way commands have to lead to the policy's target than to the leader's
# before the policy is taken to have been followed.
CLEARLY = 0.2


class Segment(NamedTuple):
    """From the first to the last command of a person, by stamps [ns]."""

    begin_ns: int
    end_ns: int


class _Course(NamedTuple):
    """stamps_ns: (N,) in order; positions: (N, Da) [unit]."""

    stamps_ns: np.ndarray
    positions: np.ndarray

    @classmethod
    def of(cls, data: StreamData) -> _Course:
        whole = np.isfinite(data.fields["position"]).all(axis=1)
        stamps_ns, positions = data.stamps_ns[whole], data.fields["position"][whole]
        order = np.argsort(stamps_ns, kind="stable")
        return cls(stamps_ns[order], positions[order])


def takeovers(contract: Contract, streams: Mapping[str, StreamData]) -> list[Segment] | None:
    """Where a person drove in an episode of a policy; None where no policy was there.

    A person drives from a teleoperated command that the gate could follow (`_usable`) on until none
    has come for the stream's `max_age_s`, and only while the robot is sent commands, which do not
    clearly go the policy's way (`_is_followed`): what a leader says to an arm that was stopped,
    with a clock that is off, or to a gate that does not hear it, is no demonstration.
    """
    if not is_of_policy(streams):
        return None
    told, commands = streams.get("teleop_command"), streams.get(contract.action.stream)
    if told is None or commands is None:
        return []
    usable = _usable(contract, told)
    led = _Course(told.stamps_ns[usable], told.fields["position"][usable])
    sent = _Course.of(commands)
    wished = _Course.of(streams["policy_command"])
    both = [
        Segment(max(one.begin_ns, other.begin_ns), min(one.end_ns, other.end_ns))
        for one in _spans(contract, "teleop_command", led.stamps_ns)
        for other in _spans(contract, contract.action.stream, sent.stamps_ns)
    ]
    return sorted(
        segment
        for segment in both
        if segment.begin_ns < segment.end_ns and _is_followed(segment, sent, led, wished)
    )


def _is_followed(segment: Segment, sent: _Course, led: _Course, wished: _Course) -> bool:
    """Whether commands went to where the leader wanted the arm, and not clearly rather to where the
    policy did. Where both wanted the same, the leader had it."""
    toward_leader, toward_policy = (_share(segment, sent, one) for one in (led, wished))
    return toward_policy <= toward_leader + CLEARLY


def _share(segment: Segment, sent: _Course, target: _Course) -> float:
    """How much of the way that commands went in a segment led straight to a target, which they
    were then heard to have: 1 all of it, -1 all of it away."""
    inside = (sent.stamps_ns[1:] >= segment.begin_ns) & (sent.stamps_ns[1:] <= segment.end_ns)
    known = np.searchsorted(target.stamps_ns, sent.stamps_ns[1:], side="right") - 1
    inside &= known >= 0
    moves = np.diff(sent.positions, axis=0)[inside]
    ways = target.positions[known[inside]] - sent.positions[:-1][inside]
    lengths = np.linalg.norm(ways, axis=1)
    along = (moves * ways).sum(axis=1) / np.where(lengths > 0.0, lengths, 1.0)
    whole = np.linalg.norm(moves, axis=1).sum()
    return float(along.sum() / whole) if whole > 0.0 else 0.0


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
