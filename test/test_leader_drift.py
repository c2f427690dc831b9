"""Offsets between what joints are told and where they are: known ones are found, with trends."""

from __future__ import annotations

import numpy as np
import pytest
from recordings import CONTRACT, HOME, SECOND, STARTED, array_cdr, joint_state_cdr

from vdd_ros import cli
from vdd_ros.calibration.leader_drift import SCATTERS, drift_of, rest_offset, trend_of
from vdd_ros.commands.dataset import check, drift
from vdd_ros.contract import Contract
from vdd_ros.demo_recorder import DemoRecorder
from vdd_ros.episode import EpisodeStore

JOINT = 3
BOUND = 0.005 * CONTRACT.span[JOINT]


def record_with_offset(folder, offset: float, rng: np.random.Generator) -> str:
    """The arm swings, then rests, off its commands by an offset at one joint; noise at all."""
    recorder = DemoRecorder(CONTRACT, folder, "episode", "avoid")
    recorder.start(SECOND, STARTED)
    for tick in range(200):
        now = SECOND + tick * 5_000_000
        target = HOME + 0.2 * np.sin(np.pi * min(tick / 100, 1.0))
        lag = 0.05 * (tick < 100)  # an arm in motion is behind, which is no offset
        measured = target + lag + offset * np.eye(7)[JOINT] + rng.normal(0.0, 1e-4, 7)
        recorder.add("joint_state", joint_state_cdr(now, measured), now + 300_000)
        if tick % 2 == 0:
            recorder.add("robot_command", array_cdr(target), now + 100_000)
    recorder.save(2 * SECOND)
    return recorder.name


def offsets_of(folder, offsets) -> list:
    rng = np.random.default_rng(0)
    names = [record_with_offset(folder, offset, rng) for offset in offsets]
    return [rest_offset(EpisodeStore(folder).load(name)) for name in names]


def test_the_offset_at_rest_is_found_and_motion_is_none(tmp_path):
    (found,) = offsets_of(tmp_path, [0.02])
    wanted = 0.02 * np.eye(7)[JOINT]
    np.testing.assert_allclose(found.offsets["robot_command"], wanted, atol=1e-4)
    assert np.isnan(found.offsets["teleop_command"]).all()


@pytest.mark.parametrize("share", [1.5, -3.0])
def test_a_joint_that_was_homed_anew_is_found_with_its_size_and_place(tmp_path, share):
    jump = share * BOUND
    found = drift_of(offsets_of(tmp_path, [0.01] * 4 + [0.01 + jump] * 3))
    (reason,) = found.sentences
    joint = CONTRACT.joint_names[JOINT]
    assert reason.startswith(f"{joint}: its offset from robot_command at rest jumps between ")
    assert "between episode_0004 and episode_0005" in reason
    row = next(row for row in found.rows if row["joint"] == joint)
    assert row["jump"] == pytest.approx(jump, rel=0.01) and abs(row["drift"]) < 0.1 * BOUND
    assert row["jump_bound"] == pytest.approx(BOUND)


def test_slow_drift_is_found_and_what_is_within_the_bound_is_not(tmp_path):
    drifting = drift_of(offsets_of(tmp_path / "slow", np.linspace(0.0, 2 * BOUND, 7)))
    (reason,) = drifting.sentences
    assert "drifts from episode_0001 to episode_0007 by" in reason
    row = next(row for row in drifting.rows if row["joint"] == CONTRACT.joint_names[JOINT])
    assert row["drift"] == pytest.approx(2 * BOUND, rel=0.02) and row["jump"] == 0.0
    steady = drift_of(offsets_of(tmp_path / "steady", np.linspace(0.02, 0.02 + 0.5 * BOUND, 5)))
    assert steady.level == "PASS" and len(steady.rows) == 7


def test_a_line_and_a_step_are_told_apart_and_an_odd_one_out_is_neither():
    index = np.arange(12.0)
    assert trend_of(0.1 * index)[:2] == pytest.approx((1.1, 0.0))
    step = trend_of(np.where(index < 7, 0.0, 1.0))
    assert (step.jump, step.at, step.drift) == (1.0, 7, 0.0)
    both = trend_of(np.where(index < 7, 0.0, 5.0) + 0.1 * index)
    assert both.at == 7 and both.jump > 5.0
    odd = trend_of(np.where(index == 5, 9.0, 0.0))
    assert odd[:2] == (0.0, 0.0)


def test_noise_is_hardly_ever_a_trend():
    rng = np.random.default_rng(1)
    trends = [trend_of(rng.normal(size=20)) for _ in range(200)]
    found = [max(abs(one.jump), abs(one.drift)) > SCATTERS * one.scatter for one in trends]
    assert np.mean(found) < 0.05


def test_a_hand_that_holds_something_is_none(tmp_path):
    raw = CONTRACT.to_dict()
    raw["joints"][JOINT] |= {"unit": "fraction", "lower": 0.0, "upper": 1.0}
    hand = Contract.from_dict(raw)
    found = offsets_of(tmp_path, [0.0] * 3 + [4 * BOUND] * 3)
    assert drift_of(found).sentences
    as_hand = drift_of([one._replace(contract=hand) for one in found])
    assert not as_hand.sentences
    joints = {row["joint"] for row in as_hand.rows}
    assert joints == set(CONTRACT.joint_names) - {CONTRACT.joint_names[JOINT]}


def test_no_name_and_no_number_is_cut_on_a_narrow_terminal(tmp_path, capsys, monkeypatch):
    offsets_of(tmp_path, [0.02] * 5)
    monkeypatch.setenv("COLUMNS", "80")
    drift.main(drift.Args(tmp_path))
    said = capsys.readouterr().out
    assert "…" not in said and f"{CONTRACT.joint_names[JOINT]} " in said


def test_the_command_says_so_and_check_too(tmp_path, capsys):
    offsets_of(tmp_path, [0.0] * 3 + [4 * BOUND] * 3)
    assert cli.main(["dataset", "drift", str(tmp_path)]) == 1
    assert "jumps between episode_0003 and episode_0004" in capsys.readouterr().out
    result = check.main(check.Args(tmp_path))
    assert result["drift"]["verdict"] == "WARN" and result["ok"]
    few = tmp_path / "few"
    offsets_of(few, [0.0] * 3)
    assert not drift.main(drift.Args(few))["ok"]
    assert "nothing can be said" in capsys.readouterr().out
