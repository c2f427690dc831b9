"""Drift watch: whether a robot is still as it was when it was calibrated.

Compared are the offsets at rest of `leader_drift.py`, of what was recorded then and now, and
latencies where both are known. Episodes count, not readings: those of one episode are of one pose.
Of each joint, with trimmed means as extremes are of arms that leaned on something (Yuen 1974):

    moved = mean now - mean then          bound = max(least, t std(moved))

t: quantile of Student's distribution at a false-alarm rate of FALSE_ALARMS for all joints together.
Beyond the bound it has moved; a bound that is larger than what should be found says that these
episodes cannot tell.

Who looks again and again has more chances to be wrong by those of now, but not by those of then,
which stay the same: the bound is then the sum of both errors' own, of the first at that rate once
for all looks, of the second at that rate for all looks of a day together (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

import numpy as np

from vdd_ros.calibration.latency import LEVEL, Measured
from vdd_ros.calibration.leader_drift import FEWEST, RestOffset
from vdd_ros.calibration_parts import Latency, RestOffsets, Source
from vdd_ros.calibration_parts import RestOffset as KnownOffset
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError

LEAST = 0.001  # [rad, m] that matters
LEAST_LATENCY_S = 0.005
FALSE_ALARMS = 0.001  # of one look at all joints
FALSE_ALARMS_A_DAY = 0.01  # of all looks of a day, beside FALSE_ALARMS for what was kept then
TO_BE_FOUND = 2.0  # times the least: a larger bound cannot tell
TRIMMED = 0.2  # of the episodes, at either end

Verdict = Literal["STEADY", "MOVED", "UNKNOWN"]


class Mean(NamedTuple):
    """value [unit], the standard deviation of it, and how many degrees of freedom that has."""

    value: float
    std: float
    freedom: float


class Change(NamedTuple):
    """what: stream and joint, or latency and name; now and then [unit]; least: that matters."""

    what: str
    name: str
    unit: str
    then: Mean
    now: Mean
    least: float


@dataclass(frozen=True)
class Watched:
    """rows: one for each joint and stream, latency and so on, as plain JSON types."""

    rows: list[dict]

    @property
    def verdict(self) -> Verdict:
        """MOVED where anything has, else UNKNOWN where something could not be told."""
        found = {row["verdict"] for row in self.rows}
        return "MOVED" if "MOVED" in found else "STEADY" if found == {"STEADY"} else "UNKNOWN"

    @property
    def worst(self) -> dict:
        """The row that is furthest beyond its bound, or nearest to it."""
        return max(self.rows, key=lambda row: abs(row["moved"]) / row["bound"])

    @property
    def sentences(self) -> list[str]:
        """What has moved, and what could not be told."""
        told = []
        for row in self.rows:
            sizes = f"{row['moved']:+.4g} {row['unit']} (at most {row['bound']:.2g})"
            if row["verdict"] == "MOVED":
                told.append(f"{row['name']}: {row['what']} moved by {sizes}: calibrate anew")
            elif row["verdict"] == "UNKNOWN":
                told.append(
                    f"{row['name']}: {row['what']} cannot be told to be steady, {sizes}, "
                    f"{row['to_be_found']:.2g} should be found: record more episodes with rests"
                )
        return told

    def to_dict(self) -> dict:
        """As plain JSON types."""
        return {"verdict": self.verdict, "worst": self.worst, "rows": self.rows}


def mean_of(values: np.ndarray) -> Mean:
    """(N,) of at least five episodes, without a fifth at either end."""
    ordered = np.sort(values)
    count, cut = len(ordered), int(TRIMMED * len(ordered))
    cut = cut if count >= 2 * FEWEST else 0  # of few, each is needed
    kept = count - 2 * cut
    winsorized = np.clip(ordered, ordered[cut], ordered[count - 1 - cut])
    variance = (count - 1) * winsorized.var(ddof=1) / (kept * (kept - 1))
    return Mean(float(ordered[cut : count - cut].mean()), float(np.sqrt(variance)), kept - 1)


def offsets_of(found: Sequence[RestOffset]) -> dict[tuple[str, str], np.ndarray]:
    """By stream and joint, offsets at rest (N,) of the episodes that tell them, of joints that are
    in five or more. Channels of unit `fraction` are left out: a hand stops at what it holds."""
    told: dict[tuple[str, str], list[float]] = {}
    for one in found:
        for stream, offsets in one.offsets.items():
            for joint, offset in zip(one.contract.joints, offsets, strict=True):
                if joint.unit != "fraction" and np.isfinite(offset):
                    told.setdefault((stream, joint.name), []).append(float(offset))
    return {key: np.array(values) for key, values in told.items() if len(values) >= FEWEST}


def reference(
    contract: Contract, found: Sequence[RestOffset], made: datetime, data: Sequence[str]
) -> dict[str, RestOffsets]:
    """What a calibration file keeps of episodes recorded then, by stream; raises UserError."""
    offsets = offsets_of(found)
    _require_some(offsets, found)
    units = {joint.name: joint.unit for joint in contract.joints}
    source = Source(method="trimmed mean of offsets at rest", data=tuple(data), count=len(found))
    sections = {}
    for stream in dict.fromkeys(stream for stream, _ in offsets):
        joints = {}
        for (of_stream, joint), values in offsets.items():
            if of_stream == stream:
                mean = mean_of(values)
                joints[joint] = KnownOffset(
                    unit="m" if units[joint] == "m" else "rad",
                    offset=mean.value,
                    std=mean.std,
                    freedom=int(mean.freedom),
                )
        sections[stream] = RestOffsets(made=made.isoformat(), source=source, joints=joints)
    return sections


def watch(
    known: Mapping[str, RestOffsets],
    found: Sequence[RestOffset],
    least: float = LEAST,
    looks: int = 1,
) -> Watched:
    """Whether joints are where they were, by episodes of now; looks: how many of them a day has.
    Raises UserError where nothing that was known then can be told now."""
    return judged(offset_changes(known, found, least), looks)


def offset_changes(
    known: Mapping[str, RestOffsets], found: Sequence[RestOffset], least: float
) -> list[Change]:
    """Of every joint that is known of both; raises UserError where there is none."""
    now = offsets_of(found)
    _require_some(now, found)
    changes = []
    for stream, section in known.items():
        for joint, then in section.joints.items():
            if (stream, joint) in now:
                before = Mean(then.offset, then.std, then.freedom)
                after = mean_of(now[stream, joint])
                what = f"offset from {stream}"
                changes.append(Change(what, joint, then.unit, before, after, least))
    if not changes:
        told = ", ".join(dict.fromkeys(stream for stream, _ in now))
        raise UserError(
            f"the calibration knows offsets of {', '.join(known) or 'nothing'}, these episodes "
            f"tell those of {told}: record what the calibration was made from"
        )
    return changes


def latency_changes(known: Mapping[str, Latency], found: Sequence[Measured]) -> list[Change]:
    """Of every joint and camera whose latency is known of both."""
    return [
        Change(
            f"latency from {one.between[0]}", one.name, "s",
            _of_interval(known[one.name].delay_s, known[one.name].interval_s),
            _of_interval(one.seconds, (one.low_s, one.high_s)),
            LEAST_LATENCY_S,
        )
        for one in found
        if one.name in known and known[one.name].between == one.between
    ]  # fmt: skip


def judged(changes: Sequence[Change], looks: int = 1) -> Watched:
    """A row for each, with one false-alarm rate for all; looks: how often a day this is asked."""
    rows = []
    for one in changes:
        noise = (
            _noise(one, len(changes)) if looks == 1 else _noise_of_looks(one, len(changes), looks)
        )
        moved, bound = one.now.value - one.then.value, max(one.least, noise)
        verdict: Verdict = "STEADY"
        if abs(moved) > bound:
            verdict = "MOVED"
        elif bound > TO_BE_FOUND * one.least:
            verdict = "UNKNOWN"
        rows.append(
            {
                "name": one.name,
                "what": one.what,
                "unit": one.unit,
                "then": one.then.value,
                "now": one.now.value,
                "moved": moved,
                "bound": bound,
                "to_be_found": TO_BE_FOUND * one.least,
                "verdict": verdict,
            }
        )
    return Watched(rows)


def _noise(one: Change, count: int) -> float:
    """What a change may come to by chance, of `count` that are looked at once (Welch 1947)."""
    from scipy.stats import t

    variances = np.array([one.then.std, one.now.std]) ** 2
    freedoms = np.array([one.then.freedom, one.now.freedom])
    spread = float((variances**2 / freedoms).sum())
    freedom = float(variances.sum() ** 2 / spread) if spread > 0.0 else float(freedoms.sum())
    return float(t.isf(FALSE_ALARMS / (2 * count), freedom) * np.sqrt(variances.sum()))


def _noise_of_looks(one: Change, count: int, looks: int) -> float:
    """The same of `count` that are looked at so often."""
    from scipy.stats import t

    then = t.isf(FALSE_ALARMS / (2 * count), one.then.freedom) * one.then.std
    now = t.isf(FALSE_ALARMS_A_DAY / (2 * count * looks), one.now.freedom) * one.now.std
    return float(then + now)


def _of_interval(value: float, interval: tuple[float, float]) -> Mean:
    from scipy.stats import norm

    half = (interval[1] - interval[0]) / 2.0
    return Mean(value, half / float(norm.ppf(0.5 + LEVEL / 2)), np.inf)


def _require_some(offsets: Mapping, found: Sequence[RestOffset]) -> None:
    if not offsets:
        raise UserError(
            f"no joint rests, and is told to, for a quarter of a second in {FEWEST} of these "
            f"{len(found)} episodes: record some in which the arm stands for a moment"
        )
