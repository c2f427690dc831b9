"""Latency of joints and cameras: planted ones are found, in arrays and in a simulated arm."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

import numpy as np
import pytest
from excited import excited
from recordings import CONTRACT, HOME, ROOT

from vdd_ros.calibration.excitation import excitation, room_of
from vdd_ros.calibration.latency import (
    camera_latency,
    joint_latency,
    measure_latencies,
    told_rows,
)
from vdd_ros.calibration.planted_timing import planted_latency
from vdd_ros.calibration.recordings import Pictures, Recording
from vdd_ros.commands.bench.calibration import latency
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError

CAMERAS = Contract.from_yaml(ROOT / "config" / "panda_cameras.yaml")
NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def planted():
    return planted_latency(CAMERAS, np.random.default_rng(7))


def with_joint(planted, stream: str, column) -> Recording:
    """The same recording with another column of the planted joint."""
    data = planted.recording.streams[stream]
    position = data.fields["position"].copy()
    position[:, planted.joint] = column(position[:, planted.joint])
    changed = {stream: replace(data, fields={"position": position})}
    return planted.recording._replace(streams={**planted.recording.streams, **changed})


def test_planted_latencies_are_found_within_a_millisecond():
    row = latency.measured(12, 1, lambda *_: None)
    assert row["ok"] and not row["why_refused"], row
    assert row["errors"]["joint at 100 Hz, p95 [ms]"] < 1.0


def test_several_recordings_are_weighed_by_what_they_tell(planted):
    one = joint_latency(CAMERAS, [planted.recording], planted.joint)
    noisy = with_joint(
        planted, "joint_state", lambda q: q + np.random.default_rng(0).normal(0.0, 0.005, len(q))
    )
    both = joint_latency(CAMERAS, [planted.recording, noisy], planted.joint)
    alone = joint_latency(CAMERAS, [noisy], planted.joint)
    assert both.used == 2 and abs(both.seconds - one.seconds) < abs(alone.seconds - one.seconds)
    section = both.section(NOW, ["here"])
    assert section.interval_s[0] <= section.delay_s <= section.interval_s[1]
    assert section.between == ("robot_command", "joint_state") and section.source.count == 2


@pytest.mark.parametrize(
    ("stream", "column", "why"),
    [
        ("robot_command", lambda q: q[:1], r"told to move through 0 rad, at least 0\.\d+ are"),
        ("joint_state", lambda q: q[:1], "and stands still: do its brakes hold it"),
        ("joint_state", np.rad2deg, r"moves 5\d\.\d* times .* in degrees\?"),
        ("robot_command", np.rad2deg, r"moves 0\.01\d* times .* in degrees in the commands"),
        ("joint_state", lambda q: 1e3 * q, r"moves [\d.]+ times as far .* in millimetres\?"),
        ("joint_state", lambda q: -q, "moves the other way than what led"),
        ("joint_state", lambda q: np.minimum(q, np.median(q) + 0.05), "stops at .* keep clear"),
        ("joint_state", lambda q: q * np.nan, "no message of joint_state with this joint"),
        ("joint_state", lambda q: np.roll(q, -9), "before it is told to: the clocks"),
    ],
    ids=["untold", "still", "degrees", "told_degrees", "mm", "mirrored", "end", "nan", "early"],
)
def test_what_does_not_tell_is_refused_with_the_reason(planted, stream, column, why):
    broken = with_joint(planted, stream, column)
    if column is not None and why.startswith("before"):
        data = broken.streams["joint_state"]
        late_ns = round(planted.truth_s * 1e9)
        on_time = replace(data, stamps_ns=data.stamps_ns - late_ns)
        broken = broken._replace(streams={**broken.streams, "joint_state": on_time})
    with pytest.raises(UserError, match=why):
        joint_latency(CAMERAS, [broken], planted.joint)


def test_a_motion_that_repeats_itself_and_one_that_is_too_short_are_refused(planted):
    def repeating(data):
        times_s = (data.stamps_ns - data.stamps_ns[0]) * 1e-9
        wave = np.tile(np.sin(2 * np.pi * 5.0 * times_s)[:, None], CAMERAS.n_joints)
        return replace(data, fields={"position": wave})

    streams = {name: repeating(data) for name, data in planted.recording.streams.items()}
    with pytest.raises(UserError, match="the motion repeats itself"):
        joint_latency(CAMERAS, [Recording(streams, {})], planted.joint)

    def beginning(data):
        return replace(
            data, stamps_ns=data.stamps_ns[:60], fields={"position": data.fields["position"][:60]}
        )

    streams = {name: beginning(data) for name, data in planted.recording.streams.items()}
    with pytest.raises(UserError, match=r"(record for longer|told to move through)"):
        joint_latency(CAMERAS, [Recording(streams, {})], planted.joint)
    with pytest.raises(UserError, match="there is no recording"):
        joint_latency(CAMERAS, [], planted.joint)


def test_a_camera_that_shows_nothing_of_it_is_refused(planted):
    (name,) = planted.recording.pictures
    shown = planted.recording.pictures[name]
    dark = Pictures(shown.stamps_ns, np.zeros_like(shown.tiles))
    with pytest.raises(UserError, match="all its pictures are alike"):
        camera_latency(CAMERAS, [planted.recording._replace(pictures={name: dark})], name)
    rng = np.random.default_rng(0)
    flicker = Pictures(shown.stamps_ns, rng.normal(128.0, 20.0, shown.tiles.shape))
    with pytest.raises(UserError, match="does not do what led"):
        camera_latency(CAMERAS, [planted.recording._replace(pictures={name: flicker})], name)
    with pytest.raises(UserError, match="no picture came"):
        camera_latency(CAMERAS, [planted.recording._replace(pictures={})], name)


def test_what_can_be_measured_is_and_the_rest_says_why(planted):
    found, failed = measure_latencies(CAMERAS, [planted.recording])
    (camera,) = planted.recording.pictures
    joint = CAMERAS.joint_names[planted.joint]
    assert {one.name for one in found} == {joint, camera}
    assert failed.keys() == {*CAMERAS.joint_names, *CAMERAS.cameras} - {joint, camera}
    rows = list(told_rows(found, failed))
    assert len(rows) == len(CAMERAS.joint_names) + len(CAMERAS.cameras)
    with pytest.raises(UserError, match="no joint or camera elbow in contract"):
        measure_latencies(CAMERAS, [planted.recording], ["elbow"])


def test_an_excitation_keeps_every_limit_and_comes_back():
    pose = HOME
    motion = excitation(CONTRACT, pose, (0, 3, 6), share=0.3, reach=0.2)
    np.testing.assert_allclose(motion.targets[[0, -1]], [pose, pose], atol=1e-9)
    period_s = 1.0 / CONTRACT.rates.control_hz
    speed = np.diff(motion.targets, axis=0) / period_s
    assert (np.abs(speed).max(axis=0) <= 0.3 * CONTRACT.limit("velocity") + 1e-9).all()
    force = np.diff(speed, axis=0) / period_s
    assert (np.abs(force).max(axis=0) <= 0.3 * CONTRACT.limit("acceleration") + 1e-9).all()
    moved = np.abs(motion.targets - pose).max(axis=0)
    assert (moved <= 0.2 + 1e-9).all() and (moved[[0, 3, 6]] > 0.05).all()
    assert (moved[[1, 2, 4, 5]] == 0.0).all()
    at_once = (np.abs(np.diff(motion.targets, axis=0)) > 0.0).sum(axis=1)
    assert at_once.max() == 1


def test_an_excitation_without_room_is_refused():
    joint = CONTRACT.joints[3]
    pose = HOME.copy()
    pose[3] = room_of(joint)[1] - 0.01
    with pytest.raises(UserError, match="has the room to move through .* middle of its range"):
        excitation(CONTRACT, pose, (3,), share=0.3, reach=0.2)
    with pytest.raises(UserError, match="has the speed to move .* larger share"):
        excitation(CONTRACT, HOME, (3,), share=0.01, reach=0.2)
    with pytest.raises(UserError, match="no joint is to be moved"):
        excitation(CONTRACT, HOME, (), share=0.3, reach=0.2)


def test_in_a_simulated_arm_a_planted_delay_is_what_latency_grows_by():
    """Through the gate, at 100 Hz: the arm's own lag is the same in both."""
    from vdd_ros.sim.env import RobosuiteEnv

    env, joints, found = RobosuiteEnv("avoid"), (1, 5), []
    for delay_s in (0.0, 0.04):
        env.reset(0)
        pose = env.observe().position
        motion = excitation(CONTRACT, pose, joints, share=0.3, reach=0.2, seconds=6.0)
        recording = excited(env, CONTRACT, motion, delay_s)
        found.append([joint_latency(CONTRACT, [recording], joint) for joint in joints])
    for without, late in zip(*found, strict=True):
        assert late.seconds - without.seconds == pytest.approx(0.04, abs=1e-3)
        assert 0.0 < without.seconds < 0.2 and without.explained > 0.95
