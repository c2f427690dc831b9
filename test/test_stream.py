"""StreamBuffer and Aligner: what they keep, refuse and show, against their rule in other words."""

from __future__ import annotations

from operator import attrgetter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import SECOND
from seeing import seeing
from test_record_live_parity import two_streams

from vdd_ros.contract import Contract
from vdd_ros.stream import Aligner, Sample, StreamBuffer, Window

MS = 1_000_000
ARM = {"position": np.arange(7.0), "velocity": np.zeros(7)}

stamp_of = attrgetter("stamp_ns")
times = st.integers(0, 12)
arrivals = st.lists(st.tuples(times, times), max_size=30)  # a stamp, and how late it comes


@settings(max_examples=300, deadline=None)
@given(capacity=st.integers(1, 5), arrivals=arrivals)
def test_a_buffer_keeps_the_newest_stamps_and_says_what_it_refused(capacity, arrivals):
    buffer, kept = StreamBuffer(None, capacity), {}
    refused = {"size": 0, "not_finite": 0, "repeated": 0, "too_old": 0}
    for number, (stamp, late) in enumerate(arrivals):
        reason = None
        if stamp in kept:
            reason = "repeated"
        elif len(kept) == capacity and stamp < min(kept):
            reason = "too_old"
        if reason:
            refused[reason] += 1
        else:
            kept[stamp] = Sample(number, stamp, stamp + late)
            kept = {one: kept[one] for one in sorted(kept)[-capacity:]}
        assert buffer.add(number, stamp, stamp + late) == (reason is None)
        assert buffer.rejected == refused and len(buffer) == len(kept)
    for known in range(25):
        heard = [sample for sample in kept.values() if sample.received_ns <= known]
        for time in range(14):
            before = [sample for sample in heard if sample.stamp_ns <= time]
            first = min(heard, key=stamp_of, default=None)
            assert buffer.at(time, known) == max(before, key=stamp_of, default=first)


def with_objects() -> Contract:
    """An arm and a block, whose heading is two numbers, and images."""
    raw = seeing().to_dict()
    push = Contract.from_yaml("config/panda_push.yaml").to_dict()
    raw["objects"], raw["streams"]["objects"] = ["red_block"], push["streams"]["objects"]
    raw["observation"] += [
        {"name": "place", "stream": "objects", "field": "position"},
        {"name": "heading", "stream": "objects", "field": "heading"},
    ]
    return Contract.from_dict(raw)


def test_what_is_refused_is_counted_by_stream_and_reason():
    aligner = Aligner(with_objects(), 1)
    here = {"position": np.zeros(3), "heading": np.array([1.0, 0.0])}
    assert aligner.add("objects", here, SECOND, SECOND)
    assert not aligner.add("objects", here | {"heading": np.ones(3)}, SECOND + 1, SECOND + 1)
    assert not aligner.add("joint_state", {"position": np.zeros(6)}, SECOND, SECOND)
    for bad in (np.nan, np.inf):
        assert not aligner.add("joint_state", {"position": np.full(7, bad)}, SECOND, SECOND)
    assert aligner.add_image("hand", 0, SECOND, SECOND)
    assert not aligner.add_image("hand", 1, SECOND, SECOND)
    assert aligner.refused == (
        "joint_state position: size 1, not_finite 2; objects heading: size 1; hand: repeated 1"
    )


def test_a_message_is_taken_by_what_is_observed_of_its_stream_alone():
    aligner = Aligner(two_streams(), 1)
    assert aligner.add("joint_state", ARM, SECOND, SECOND)
    assert not aligner.add("robot_command", ARM, SECOND, SECOND), "nobody observes it"
    assert aligner.unknown == ["teleop_command"] and aligner.window(SECOND) is None
    assert aligner.add("teleop_command", {"position": np.ones(7)}, SECOND, SECOND)
    window = aligner.window(SECOND)
    assert window.values.tolist() == [[*range(7), *[0.0] * 7, *[1.0] * 7]]
    # a driver may leave out velocities: the last ones hold
    assert aligner.add("joint_state", {"position": np.ones(7)}, 2 * SECOND, 2 * SECOND)
    assert aligner.window(2 * SECOND).stamps_ns.tolist() == [[2 * SECOND, SECOND, SECOND]]


def waiting(delay_s: float) -> Contract:
    """Looks at arm and image that long before the tick."""
    raw = seeing().to_dict()
    raw["observation"][0]["delay_s"] = raw["images"][0]["delay_s"] = delay_s
    return Contract.from_dict(raw)


def test_a_sample_exactly_as_old_as_the_delay_is_shown():
    aligner = Aligner(waiting(1.0), 1)
    for stamp in (SECOND - 1, SECOND, SECOND + 1):
        aligner.add("joint_state", ARM, stamp, stamp)
        for name in ("front", "hand"):
            aligner.add_image(name, stamp, stamp, stamp)
    window = aligner.window(2 * SECOND)
    assert window.stamps_ns.tolist() == [[SECOND]]
    assert window.images[0].value == SECOND


@pytest.mark.parametrize("delay_s", [0.0, 0.5])
def test_what_is_kept_covers_the_window_twice(delay_s):
    """So that a burst, or a sample of any age that may be acted on, finds a place."""
    contract = waiting(delay_s)
    aligner = Aligner(contract, 3)
    for stamp in range(0, 10 * SECOND, 5 * MS):
        aligner.add("joint_state", ARM, stamp, stamp)
    for stamp in range(0, 10 * SECOND, SECOND // 30):
        aligner.add_image("front", None, stamp, stamp)
    window_s = 3 * contract.policy_period_ns * 1e-9 + delay_s
    kept_s = len(aligner.buffers["joint_state", "position"]) / 200.0
    assert kept_s == pytest.approx(2 * (window_s + contract.streams["joint_state"].max_age_s))
    kept_s = len(aligner.images["front"]) / 30.0
    assert kept_s == pytest.approx(2 * (delay_s + contract.cameras["front"].max_age_s))


def test_of_a_slow_stream_and_camera_some_are_kept_however_short_the_window():
    raw = seeing().to_dict()
    raw["streams"]["joint_state"]["rate_hz"] = raw["cameras"]["front"]["rate_hz"] = 0.5
    aligner = Aligner(Contract.from_dict(raw), 1)
    for stamp in range(0, 100 * SECOND, SECOND):
        aligner.add("joint_state", ARM, stamp, stamp)
        aligner.add_image("front", None, stamp, stamp)
    assert len(aligner.buffers["joint_state", "position"]) == 16
    assert len(aligner.images["front"]) == 4


def test_features_of_images_and_their_ages_end_the_newest_row_alone():
    images = tuple(
        Sample(np.array(value), stamp, stamp) for value, stamp in (([1.0, 2.0], 40), ([3.0], 90))
    )
    images = tuple(one._replace(stamp_ns=one.stamp_ns * MS) for one in images)
    blind = Window(np.array([[7.0], [8.0], [9.0]]), np.zeros((3, 1)), 100 * MS)
    seen = blind._replace(images=images).with_features(np.array([50.0, 10.0]))
    # 60 ms are three periods of 20 ms, 10 ms a tenth of one of 100 ms
    wanted = [[7.0, 0, 0, 0, 0, 0], [8.0, 0, 0, 0, 0, 0], [9.0, 1.0, 2.0, 3.0, 3.0, 0.1]]
    np.testing.assert_allclose(seen.values, wanted, atol=1e-12)
    assert blind.with_features(np.zeros(0)) is blind
