"""What a policy learns from is what it would have seen: replay and live agree frame for frame.

A frame is one observation step of one window. The same over real ROS: test/ros/test_live_parity.py.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from recordings import CONTRACT

from vdd_ros.contract import Contract
from vdd_ros.episode import StreamData
from vdd_ros.replay import replay_windows
from vdd_ros.stream import Aligner, Window

MS = 1_000_000
N_OBS_STEPS = 2


def two_streams() -> Contract:
    """Position and velocity of the joints, and the operator's command, which has another rate."""
    raw = CONTRACT.to_dict()
    raw["observation"] = [
        {"name": "joint_position", "stream": "joint_state", "field": "position"},
        {"name": "joint_velocity", "stream": "joint_state", "field": "velocity"},
        {"name": "teleop_position", "stream": "teleop_command", "field": "position"},
    ]
    return Contract.from_dict(raw)


def rough_stream(rng: np.random.Generator, rate_hz: float, seconds: float) -> StreamData:
    """Samples with jittered stamps, loss, late arrival, reordering and repeated stamps."""
    count = int(rate_hz * seconds)
    period = int(1e9 / rate_hz)
    stamps = 10**9 + np.arange(count) * period + rng.integers(0, period // 2, count)
    stamps[rng.random(count) < 0.01] = stamps[0]
    delay = rng.integers(MS // 5, MS, count)
    late = rng.random(count) < 0.05
    delay[late] += rng.integers(0, 60 * MS, late.sum())
    kept = rng.random(count) > 0.05
    stamps, received = stamps[kept], (stamps + delay)[kept]
    order = np.argsort(received, kind="stable")
    values = rng.normal(size=(2, kept.sum(), 7))
    values[0, rng.random(kept.sum()) < 0.01, 3] = np.nan
    fields = {"position": values[0], "velocity": values[1]}
    return StreamData(
        stamps[order], received[order], {name: value[order] for name, value in fields.items()}
    )


class Arrival(NamedTuple):
    received_ns: int
    stream: str
    index: int


def live_windows(
    contract: Contract, streams: dict[str, StreamData], ticks: np.ndarray
) -> list[Window | None]:
    """As a node does it: every sample is added when it arrives, a window is asked at every tick."""
    aligner = Aligner(contract, N_OBS_STEPS)
    events = [
        Arrival(int(data.received_ns[index]), name, index)
        for name, data in streams.items()
        for index in range(len(data))
    ]
    # a tick comes after what arrived at the same instant
    events = sorted([*events, *(Arrival(int(tick), "~tick", 0) for tick in ticks)])
    windows = []
    for received_ns, name, index in events:
        if name == "~tick":
            windows.append(aligner.window(received_ns))
        else:
            data = streams[name]
            fields = {field: values[index] for field, values in data.fields.items()}
            aligner.add(name, fields, int(data.stamps_ns[index]), received_ns)
    return windows


def assert_identical(live: list[Window | None], replayed: list[Window | None]) -> None:
    assert len(live) == len(replayed)
    for one, other in zip(live, replayed, strict=True):
        if one is None or other is None:
            assert one is other
        else:
            np.testing.assert_array_equal(one.values, other.values)
            np.testing.assert_array_equal(one.stamps_ns, other.stamps_ns)
            assert one.tick_ns == other.tick_ns


@pytest.mark.parametrize("seed", range(5))
def test_replay_equals_a_live_run_bit_for_bit(seed):
    rng = np.random.default_rng(seed)
    contract = two_streams()
    streams = {
        "joint_state": rough_stream(rng, 200.0, 4.0),
        "teleop_command": rough_stream(rng, 100.0, 4.0),
    }
    ticks = 10**9 + np.arange(-5, 400) * 10 * MS + rng.integers(0, 2 * MS, 405)
    # some ticks fall on the very instant at which a sample arrives
    ticks[50:60] = streams["joint_state"].received_ns[100:110]
    ticks.sort()
    live = live_windows(contract, streams, ticks)
    assert sum(window is not None for window in live) > 350
    assert_identical(live, replay_windows(contract, streams, ticks, N_OBS_STEPS))


def with_delay(delay_s: float) -> Contract:
    raw = CONTRACT.to_dict()
    raw["observation"][0]["delay_s"] = delay_s
    return Contract.from_dict(raw)


def share_of_equal_frames(delay_s: float) -> float:
    """Live against the file of a recorder that received every sample a little earlier or later."""
    rng = np.random.default_rng(1)
    contract = with_delay(delay_s)
    live = rough_stream(rng, 200.0, 20.0)
    shift = rng.laplace(scale=0.4 * MS, size=len(live)).clip(-4 * MS, 4 * MS).astype(np.int64)
    received = np.maximum(live.received_ns + shift, live.stamps_ns)
    order = np.argsort(received, kind="stable")
    recorded = StreamData(
        live.stamps_ns[order],
        received[order],
        {name: values[order] for name, values in live.fields.items()},
    )
    ticks = 2 * 10**9 + np.arange(1800) * 10 * MS + rng.integers(0, 2 * MS, 1800)
    ticks.sort()
    seen = live_windows(contract, {"joint_state": live}, ticks)
    filed = replay_windows(contract, {"joint_state": recorded}, ticks, N_OBS_STEPS)
    equal = [(a.stamps_ns == b.stamps_ns).all(axis=1) for a, b in zip(seen, filed, strict=True)]
    for one, other, tick in zip(seen, filed, ticks, strict=True):
        low = np.minimum(one.stamps_ns, other.stamps_ns)
        high = np.maximum(one.stamps_ns, other.stamps_ns)
        known = live.stamps_ns[np.maximum(live.received_ns, received[np.argsort(order)]) <= tick]
        assert not ((known > low) & (known < high)).any(), "they are more than one sample apart"
    return float(np.mean(equal))


def test_a_recorder_that_receives_at_slightly_other_times_files_the_same_frames():
    delayed = share_of_equal_frames(CONTRACT.observation[0].delay_s)
    assert delayed >= 0.99
    assert share_of_equal_frames(0.0) < delayed, "the delay is there for nothing"


def test_a_window_shows_each_part_as_long_before_the_tick_as_the_contract_says():
    aligner = Aligner(with_delay(0.01), n_obs_steps=2)
    for time_ms in range(0, 500, 5):
        fields = {"position": np.full(7, float(time_ms)), "velocity": np.zeros(7)}
        aligner.add("joint_state", fields, time_ms * MS, time_ms * MS)
    window = aligner.window(403 * MS)
    np.testing.assert_array_equal(window.values[:, 0], [290.0, 390.0])
    np.testing.assert_array_equal(window.stamps_ns, [[290 * MS], [390 * MS]])
