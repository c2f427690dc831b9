"""Whether what a joint is told and where it is keep their distance from episode to episode.

At rest an arm stands where it is told to, but for what its controller leaves (gravity, friction).
That offset belongs to the arm. Where it changes over a data set, an encoder was homed anew, a
leader was put together differently, or something is wearing out; a policy would learn several
robots in one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.episode import Episode, StreamData
from vdd_ros.leader_verdict import LEADER_STREAM
from vdd_ros.manifest import Level

REST_S = 0.25  # a joint that has stood for so long is at rest
REST_SHARE = 1e-3  # of its range, within which it stands
FEWEST = 5  # episodes, to tell a trend from a chance
FEWEST_AROUND_A_STEP = 2
SCATTERS = 4.0  # what is found has to be larger than chance
FITTED = 3  # numbers of a step and a line, which make what is left look smaller than it is
GAUSSIAN_MAD = 1.4826  # standard deviation over median absolute deviation, of a Gaussian


class RestOffset(NamedTuple):
    """Of one episode. offsets: by stream of commands, (Da,) median of measured minus commanded at
    rest [unit], NaN of a joint that never rests."""

    episode: str
    started: str
    contract: Contract
    offsets: dict[str, np.ndarray]


class Trend(NamedTuple):
    """How one joint's offset goes on from episode to episode [unit]: from the first to the last one
    beside any jump, and the largest jump with the index of the episode before which it is; scatter:
    standard deviation of what neither explains."""

    drift: float
    jump: float
    at: int
    scatter: float


@dataclass(frozen=True)
class Drift:
    """rows: one for each stream of commands and joint that can be told; sentences: of those that
    are beyond a bound."""

    rows: list[dict]
    sentences: list[str]

    @property
    def level(self) -> Level:
        return "WARN" if self.sentences else "PASS"

    def to_dict(self) -> dict:
        """As plain JSON types."""
        return {"verdict": self.level, "reasons": self.sentences, "joints": self.rows}


def rest_offset(episode: Episode) -> RestOffset:
    """What one episode says, for the robot's commands and for those of a leader."""
    contract = episode.contract
    offsets = offsets_at_rest(contract, episode.streams)
    return RestOffset(episode.name, episode.manifest.started, contract, offsets)


def offsets_at_rest(contract: Contract, streams: Mapping[str, StreamData]) -> dict[str, np.ndarray]:
    """By stream of commands, as `RestOffset` has them."""
    names = dict.fromkeys((contract.action.stream, LEADER_STREAM))
    return {
        name: _at_rest(contract, streams["joint_state"], streams[name])
        for name in names
        if name in streams and "joint_state" in streams
    }


def _at_rest(contract: Contract, measured: StreamData, commanded: StreamData) -> np.ndarray:
    """(Da,) [unit]"""
    found = rests(contract, measured, commanded)
    apart = np.where(found.resting, found.position - found.target, np.nan)
    some = found.resting.any(axis=0)
    if not some.any():
        return np.full(contract.n_joints, np.nan)
    return np.where(some, np.nanmedian(np.where(some, apart, 0.0), axis=0), np.nan)


class Rests(NamedTuple):
    """times_ns: (N,); position, target: (N, Da) where joints are and are told to be [unit];
    resting: (N, Da) whether both have stood for REST_S."""

    times_ns: np.ndarray
    position: np.ndarray
    target: np.ndarray
    resting: np.ndarray


def rests(
    contract: Contract, measured: StreamData, commanded: StreamData, share: float = REST_SHARE
) -> Rests:
    """When each joint rests, within a share of its range; nothing where there is too little."""
    nothing = np.zeros((0, contract.n_joints))
    if len(measured) < 3 or not len(commanded):
        return Rests(np.zeros(0, np.int64), nothing, nothing, nothing.astype(bool))
    order = np.argsort(measured.stamps_ns, kind="stable")
    times_ns, position = measured.stamps_ns[order], measured.fields["position"][order]
    place = np.searchsorted(np.sort(commanded.stamps_ns), times_ns, side="right") - 1
    newest = np.argsort(commanded.stamps_ns, kind="stable")[np.maximum(place, 0)]
    target = np.where((place >= 0)[:, None], commanded.fields["position"][newest], np.nan)
    period_ns = max(1.0, float(np.median(np.diff(times_ns))))
    count = max(2, round(REST_S * 1e9 / period_ns))
    if len(position) < count:
        return Rests(np.zeros(0, np.int64), nothing, nothing, nothing.astype(bool))
    bound = share * contract.span
    resting = (_reach(position, count) < bound) & (_reach(target, count) < bound)
    return Rests(times_ns[count - 1 :], position[count - 1 :], target[count - 1 :], resting)


def _reach(values: np.ndarray, count: int) -> np.ndarray:
    """(N, Da) -> (N - count + 1, Da): greatest minus least of the last `count`, NaN with a NaN."""
    seen = np.lib.stride_tricks.sliding_window_view(values, count, axis=0)
    return seen.max(axis=-1) - seen.min(axis=-1)


def drift_of(found: Sequence[RestOffset]) -> Drift:
    """The trend of every joint over episodes in the order in which they were begun.

    Bounds are shares of a joint's range in the contract's `recording`: `offset_drift`,
    `offset_jump`. Episodes of another robot than the first one's are left out, and so are joints of
    unit `fraction`: a hand stops at what it holds.
    """
    ordered = sorted(found, key=lambda one: (one.started, one.episode))
    if ordered:
        first = ordered[0].contract.joint_names
        ordered = [one for one in ordered if one.contract.joint_names == first]
    rows, sentences = [], []
    for stream in dict.fromkeys(name for one in ordered for name in one.offsets):
        for index in range(ordered[0].contract.n_joints):
            if ordered[0].contract.joints[index].unit == "fraction":
                continue
            told = [one for one in ordered if _tells(one, stream, index)]
            if len(told) >= FEWEST:
                row, reasons = _judged(stream, index, told)
                rows.append(row)
                sentences += reasons
    return Drift(rows, sentences)


def _tells(one: RestOffset, stream: str, index: int) -> bool:
    return stream in one.offsets and bool(np.isfinite(one.offsets[stream][index]))


def _judged(stream: str, index: int, told: list[RestOffset]) -> tuple[dict, list[str]]:
    contract = told[0].contract
    joint, limits = contract.joints[index], contract.recording
    values = np.array([one.offsets[stream][index] for one in told])
    trend = trend_of(values)
    span = joint.upper - joint.lower
    before, after = told[trend.at - 1].episode, told[trend.at].episode
    findings = {
        "jump": (trend.jump, limits.offset_jump * span, f"jumps between {before} and {after}"),
        "drift": (
            trend.drift,
            limits.offset_drift * span,
            f"drifts from {told[0].episode} to {told[-1].episode}",
        ),
    }
    reasons = [
        f"{joint.name}: its offset from {stream} at rest {what} by {amount:.4f} {joint.unit} (at "
        f"most {bound:.4f}): was a joint homed anew, or is one wearing out? (WARN)"
        for amount, bound, what in findings.values()
        if abs(amount) > max(bound, SCATTERS * trend.scatter)
    ]
    row = {
        "stream": stream,
        "joint": joint.name,
        "unit": joint.unit,
        "episodes": len(told),
        "offset": float(np.median(values)),
        **{name: float(amount) for name, (amount, _, _) in findings.items()},
        **{f"{name}_bound": float(bound) for name, (_, bound, _) in findings.items()},
        "jump_between": [before, after],
        "scatter": trend.scatter,
        "verdict": "WARN" if reasons else "PASS",
    }
    return row, reasons


def trend_of(values: np.ndarray) -> Trend:
    """(N,) offsets of at least five episodes in order -> a jump, a slow drift, or both.

    A step and a straight line are fitted by medians; whichever leaves less is taken for what is
    there, and a step is taken off before the line is fitted anew.
    """
    steps = [
        (float(np.abs(values - _step(values, at)).sum()), at)
        for at in range(FEWEST_AROUND_A_STEP, len(values) - FEWEST_AROUND_A_STEP + 1)
    ]
    least, at = min(steps)
    step = _step(values, at)
    if least < np.abs(values - _line(values)).sum():
        rest = values - step
        jump = float(step[-1] - step[0])
    else:
        rest, jump = values, 0.0
    line = _line(rest)
    freedom = (len(values) - FITTED) / len(values)
    scatter = GAUSSIAN_MAD * float(np.median(np.abs(rest - line))) / freedom
    return Trend(float(line[-1] - line[0]), jump, at, scatter)


def _step(values: np.ndarray, at: int) -> np.ndarray:
    """(N,) one level before, another from there on."""
    levels = np.median(values[:at]), np.median(values[at:])
    return np.repeat(levels, [at, len(values) - at])


def _line(values: np.ndarray) -> np.ndarray:
    """(N,) the line of Theil and Sen: its slope is the median of those between any two."""
    index = np.arange(len(values))
    first, second = np.triu_indices(len(values), k=1)
    slope = np.median((values[second] - values[first]) / (second - first))
    return slope * index + np.median(values - slope * index)
