"""Whether the arm went where its leader was: the robot's commands cannot say, as a gate has limited
them already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.episode import StreamData
from vdd_ros.motion_verdict import finite_positions, held, named
from vdd_ros.recording_limits import RecordingLimits
from vdd_ros.response import responses_s
from vdd_ros.takeover import is_of_policy, takeovers

LEADER_STREAM = "teleop_command"


def leader_findings(
    contract: Contract,
    streams: Mapping[str, StreamData],
    limits: RecordingLimits,
    imported: bool,
) -> Iterator[str]:
    """A clause where nobody led although the contract has a stream for it, or where the arm was
    away from where it was led to, but for the time that it takes to follow.

    imported: of a recording made elsewhere, of which nobody expects a leader; of a policy's episode
    the parts in which a person drove are judged.
    """
    stream = contract.streams.get(LEADER_STREAM)
    if stream is None or stream.is_of_objects:
        return
    data = streams.get(LEADER_STREAM)
    if data is None or not len(data):
        if not imported and not is_of_policy(streams):
            yield f"nobody led the arm: {LEADER_STREAM} has no complete message ({stream.topic})"
        return
    measured, led = finite_positions(streams["joint_state"]), finite_positions(data)
    if measured is None or led is None:
        return
    share = _share_astray(contract, streams, measured, led, 0)
    if (share > limits.of_motion.led_astray).any() and (lag_ns := _lag_ns(contract, streams)):
        share = _share_astray(contract, streams, measured, led, lag_ns)
    yield from named(
        contract,
        share > limits.of_motion.led_astray,
        f"further from its leader than `tracking` for more than {limits.of_motion.led_astray:.0%} "
        "of the time",
    )


def _share_astray(
    contract: Contract,
    streams: Mapping[str, StreamData],
    measured: tuple[np.ndarray, np.ndarray],
    led: tuple[np.ndarray, np.ndarray],
    lag_ns: int,
) -> np.ndarray:
    """(Da,) share of the time, while somebody led, that a joint was further than its `tracking`
    from where it was led to so long before."""
    times_ns, position = measured[0] - lag_ns, measured[1]
    stamps_ns, target = led
    newest = held(stamps_ns, stamps_ns[:, None].astype(np.float64), times_ns)[:, 0]
    with np.errstate(invalid="ignore"):
        is_led = times_ns - newest <= contract.streams[LEADER_STREAM].max_age_s * 1e9
    segments = takeovers(contract, streams)
    if segments is not None:
        of_person = [(times_ns >= begin) & (times_ns <= end) for begin, end in segments]
        is_led &= np.any(of_person, axis=0) if of_person else False
    if not is_led.any():
        return np.zeros(contract.n_joints)
    apart = np.abs(position - held(stamps_ns, target, times_ns))[is_led]
    return (apart > contract.tracking).mean(axis=0)


def _lag_ns(contract: Contract, streams: Mapping[str, StreamData]) -> int:
    """How long after its leader the arm moves: the median of its joints, 0 where none tells."""
    lags_s = responses_s(contract, streams, LEADER_STREAM)
    return round(float(np.median(list(lags_s.values()))) * 1e9) if lags_s else 0
