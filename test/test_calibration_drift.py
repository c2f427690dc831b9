"""Drift since a calibration: a planted one is found and named, and none where there is none."""

from __future__ import annotations

import json
from datetime import datetime, timezone

import numpy as np
import pytest
from recordings import CONTRACT
from test_leader_drift import record_with_offset

from vdd_ros import cli
from vdd_ros.calibration.drift import (
    FALSE_ALARMS,
    FALSE_ALARMS_A_DAY,
    judged,
    latency_changes,
    mean_of,
    offset_changes,
    reference,
    watch,
)
from vdd_ros.calibration.latency import Measured
from vdd_ros.calibration.leader_drift import RestOffset
from vdd_ros.calibration.stretches import Samples, Stretches
from vdd_ros.commands.bench.calibration import drift
from vdd_ros.errors import UserError
from vdd_ros.robot_calibration import RobotCalibration

NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)
JOINTS = CONTRACT.joint_names


def episodes(rng, offset, count=10, scatter=2e-4) -> list[RestOffset]:
    rows = offset + rng.normal(0.0, scatter, (count, 7))
    return [
        RestOffset(f"episode_{number}", f"{number}", CONTRACT, {"robot_command": row})
        for number, row in enumerate(rows)
    ]


def test_two_milliradians_are_found_and_named_and_clean_runs_raise_no_alarm():
    """As `vdd bench calibration` has it with 200; through positions and commands."""
    row = drift.measured(12, 5, lambda *_: None)
    assert row["ok"], row
    assert row["errors"]["how far it moved, p95 [mrad]"] < 0.5


def test_no_false_alarm_in_a_hundred_clean_runs_and_hardly_one_in_thousands():
    """Of offsets alone, so that there are enough; bounds of what matters aside."""
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(1000):
        known = reference(CONTRACT, episodes(rng, np.zeros(7)), NOW, [])
        changes = offset_changes(known, episodes(rng, np.zeros(7)), least=1e-9)
        alarms += judged(changes).verdict == "MOVED"
    assert alarms <= 5, "one in a thousand is stated"
    assert FALSE_ALARMS == 0.001


def test_who_looks_all_day_raises_no_more_alarms_in_a_day_than_stated():
    """Places come and go as they do live; by the rate of one look there are some."""
    rng, looks, alarms, by_one_look = np.random.default_rng(3), 300, 0, 0
    for _ in range(6):
        known = reference(CONTRACT, episodes(rng, np.zeros(7)), NOW, [])
        places, of_day = episodes(rng, np.zeros(7), 12), np.zeros(2, bool)
        for new in episodes(rng, np.zeros(7), looks):
            places = [*places[1:], new]
            changes = offset_changes(known, places, least=1e-9)
            of_day |= [judged(changes, n).verdict == "MOVED" for n in (looks, 1)]
        alarms, by_one_look = alarms + of_day[0], by_one_look + of_day[1]
    assert alarms == 0 and FALSE_ALARMS_A_DAY == 0.01
    assert by_one_look >= 1


def test_two_milliradians_are_found_by_who_looks_all_day():
    rng, looks = np.random.default_rng(4), 8640
    known = reference(CONTRACT, episodes(rng, np.zeros(7)), NOW, [])
    moved = np.eye(7)[2] * 2e-3
    watched = watch(known, episodes(rng, moved, 20), looks=looks)
    assert (watched.verdict, watched.worst["name"]) == ("MOVED", JOINTS[2])
    assert watch(known, episodes(rng, 0.0 * moved, 20), looks=looks).verdict == "STEADY"
    few = watch(known, episodes(rng, 0.0 * moved, 5), looks=looks)
    assert few.verdict == "UNKNOWN", "of five places it cannot be told so surely"


def test_what_these_episodes_cannot_tell_is_no_all_clear():
    rng = np.random.default_rng(1)
    known = reference(CONTRACT, episodes(rng, np.zeros(7)), NOW, [])
    watched = watch(known, episodes(rng, np.zeros(7), scatter=0.01))
    assert watched.verdict == "UNKNOWN"
    assert "cannot be told to be steady" in watched.sentences[0]
    assert "record more episodes" in watched.sentences[0]


def test_one_arm_that_leaned_on_something_does_not_count():
    rng = np.random.default_rng(2)
    known = reference(CONTRACT, episodes(rng, np.zeros(7)), NOW, [])
    now = episodes(rng, np.zeros(7))
    now[3].offsets["robot_command"][2] += 0.1
    assert watch(known, now).verdict == "STEADY"
    values = np.array([0.0, 0.1, -0.1, 0.05, -0.05, 0.02, -0.02, 0.01, -0.01, 50.0])
    assert abs(mean_of(values).value) < 0.05


def test_the_mean_of_few_is_that_of_student():
    values = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    found = mean_of(values)
    assert found == pytest.approx((3.0, values.std(ddof=1) / np.sqrt(5), 4))


def test_latencies_that_grew_are_told():
    def measured(seconds):
        return Measured(
            "front", ("joint_state", "front"), seconds, seconds - 1e-3, seconds + 1e-3, 1, 1
        )

    known = {"front": measured(0.03).section(NOW, [])}
    assert judged(latency_changes(known, [measured(0.032)])).verdict == "STEADY"
    watched = judged(latency_changes(known, [measured(0.05)]))
    assert watched.verdict == "MOVED" and watched.worst["moved"] == pytest.approx(0.02)
    other = measured(0.05)._replace(between=("robot_command", "front"))
    assert latency_changes(known, [other]) == []


def test_nothing_that_rests_and_nothing_in_common_is_refused():
    rng = np.random.default_rng(3)
    with pytest.raises(UserError, match="no joint rests, and is told to"):
        reference(CONTRACT, episodes(rng, np.zeros(7), count=4), NOW, [])
    known = reference(CONTRACT, episodes(rng, np.zeros(7)), NOW, [])
    led = [
        one._replace(offsets={"teleop_command": one.offsets["robot_command"]})
        for one in episodes(rng, np.zeros(7))
    ]
    with pytest.raises(UserError, match="knows offsets of robot_command, these episodes tell"):
        watch(known, led)


def test_the_command_keeps_and_compares(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for name, offset in (("then", 0.01), ("same", 0.01), ("moved", 0.012)):
        for _ in range(6):
            record_with_offset(tmp_path / name, offset, rng)
    robot = str(tmp_path / "robot")
    words = ["calibrate", "drift", "--calibration", robot]
    assert cli.main([*words, str(tmp_path / "then")]) == 2
    assert "no calibration" in capsys.readouterr().err or not (tmp_path / "robot").exists()
    assert cli.main([*words, str(tmp_path / "then"), "--keep"]) == 0
    kept = RobotCalibration.read(robot)
    assert kept.rest["robot_command"].joints[JOINTS[3]].offset == pytest.approx(0.01, abs=1e-4)
    capsys.readouterr()
    assert cli.main(["calibrate", "show", robot]) == 0
    assert "7 joints, std" in capsys.readouterr().out
    assert cli.main([*words, str(tmp_path / "same"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["verdict"] == "STEADY"
    assert cli.main([*words, str(tmp_path / "moved"), "--json"]) == 1
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["verdict"] == "MOVED" and told["worst"]["name"] == JOINTS[3]
    assert told["worst"]["moved"] == pytest.approx(0.002, abs=2e-4)
    assert cli.main([*words, str(tmp_path / "moved"), "--least", "0"]) == 2


def test_a_command_that_comes_before_an_older_joint_state_ends_no_stretch():
    """A command has no stamp but that of its arrival."""
    samples, ended = Samples(1_000), []
    for now_ns in range(0, 3_000, 100):
        ended.append(samples.add("robot_command", now_ns + 3, np.ones(7)))
        ended.append(samples.add("joint_state", now_ns, np.zeros(7)))
    first, *others = [stretch for stretch in ended if stretch]
    assert len(others) == 1
    assert {name: len(stream) for name, stream in first.items()} == {
        "robot_command": 12,
        "joint_state": 11,
    }
    assert first["joint_state"].stamps_ns.tolist() == list(range(0, 1_100, 100))
    assert (first["robot_command"].fields["position"] == 1.0).all()


def test_a_clock_that_begins_anew_ends_a_stretch():
    samples = Samples(1_000)
    assert not samples.add("joint_state", 5_000, np.zeros(7))
    assert len(samples.add("joint_state", 3_900, np.zeros(7))["joint_state"]) == 2
    assert not samples.add("joint_state", 4_000, np.zeros(7))


def test_an_arm_that_is_parked_tells_of_one_pose_only():
    """What gives way by 3 mrad, otherwise in each pose, looks like drift where one pose counts
    again and again."""
    rng = np.random.default_rng(0)
    known = reference(CONTRACT, episodes(rng, 0.0, 20, scatter=3e-3), NOW, [])
    parked, here = Stretches(CONTRACT), rng.normal(0.0, 3e-3, 7)
    every = episodes(rng, here, 12, scatter=1e-4)
    assert watch(known, every).verdict == "MOVED", "as if they were of twelve poses"
    for one in every:
        parked.add(rng.normal(0.0, 1e-4, 7), one)
    assert parked.found == every[-1:]
    with pytest.raises(UserError):
        watch(known, parked.found)
    for number in range(70):
        parked.add(np.full(7, 0.5 + 0.2 * number), every[0])
    assert len(parked.found) == 60
