"""What a recorder says of the streams of an episode, when it is stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from vdd_ros.contract import Contract
from vdd_ros.episode import StreamData
from vdd_ros.manifest import StreamSummary, Verdict
from vdd_ros.response import responses_s
from vdd_ros.takeover import in_seconds, takeovers
from vdd_ros.timing_verdict import Finding, summarise
from vdd_ros.verdict import judge

NOT_JUDGED = Verdict(level="FAIL", reasons=("it was never stopped and judged",))


class RecordingJudged(NamedTuple):
    """As in a manifest; meta: what goes there of takeovers, nothing where there can be none."""

    verdict: Verdict = NOT_JUDGED
    summaries: dict[str, StreamSummary] = {}
    responses_s: dict[str, float] = {}
    meta: Mapping[str, object] = {}


def judge_recording(
    contract: Contract,
    streams: dict[str, StreamData],
    started_ns: int,
    stopped_ns: int,
    lost: Mapping[str, int],
    missing: Mapping[str, int],
    beside: Sequence[Finding],
    cameras: dict[str, StreamSummary],
    imported: bool,
) -> RecordingJudged:
    """Between two times of the ROS clock. lost, missing: messages by stream; beside: what was found
    of cameras, clocks and calibration; cameras: what is there of them; imported: whether it was
    recorded elsewhere."""
    summaries = {
        name: summarise(
            data,
            lost.get(name, 0),
            contract.streams[name].timeline == "header",
            missing.get(name, 0),
        )
        for name, data in streams.items()
    }
    verdict = judge(
        contract, streams, started_ns, stopped_ns, lost, beside, missing, cameras, imported
    )
    segments = takeovers(contract, streams)
    meta = {} if segments is None else {"takeovers_s": in_seconds(segments, started_ns)}
    return RecordingJudged(verdict, summaries, responses_s(contract, streams), meta)
