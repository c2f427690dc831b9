"""Still poses out of episodes: a leader that is off is found, what moves is no pose."""

from __future__ import annotations

import json

import numpy as np
from recordings import CONTRACT, HOME, SECOND, STARTED, joint_state_cdr

from vdd_ros import cli
from vdd_ros.calibration.episode_poses import poses_of_episodes
from vdd_ros.demo_recorder import DemoRecorder
from vdd_ros.episode import EpisodeStore

OFFSET = np.array([0.02, 0.0, -0.03, 0.0, 0.01, 0.0, 0.05])
PERIOD_NS, MOVE, REST = 5_000_000, 60, 80  # of a joint state; how many of them it moves and rests


def record_with_pauses(folder, rests: int) -> np.ndarray:
    """(rests, Da) where the arm stood; its leader's joints are the arm's minus OFFSET."""
    recorder, rng = DemoRecorder(CONTRACT, folder, "episode", "avoid"), np.random.default_rng(0)
    recorder.start(SECOND, STARTED)
    stood, now = [HOME], SECOND
    for _ in range(rests):
        goal = HOME + rng.uniform(-0.3, 0.3, 7)
        way = stood[-1] + np.linspace(0.0, 1.0, MOVE)[:, None] * (goal - stood[-1])
        for place in [*way, *np.repeat(goal[None], REST, axis=0)]:
            now += PERIOD_NS
            measured = place + rng.normal(0.0, 1e-5, 7)
            led = joint_state_cdr(now, place - OFFSET)
            recorder.add("teleop_command", led, now + 100_000)
            recorder.add("joint_state", joint_state_cdr(now, measured), now + 300_000)
        stood.append(goal)
    recorder.save(now + SECOND)
    return np.array(stood[1:])


def test_each_rest_is_a_pose(tmp_path):
    stood = record_with_pauses(tmp_path, 6)
    contract, pairs = poses_of_episodes(EpisodeStore(tmp_path))
    assert contract == CONTRACT and len(pairs.encoder) == 6
    np.testing.assert_allclose(pairs.reference, stood, atol=1e-3)
    np.testing.assert_allclose(pairs.reference - pairs.encoder, np.tile(OFFSET, (6, 1)), atol=1e-4)


def test_a_leader_that_is_off_is_found_in_episodes(tmp_path, capsys):
    record_with_pauses(tmp_path / "episodes", 8)
    words = ["calibrate", "joints", str(tmp_path / "episodes"), "--into", str(tmp_path / "known")]
    assert cli.main([*words, "--against", "leader", "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    offsets = [found["joints"][name]["offset"] for name in CONTRACT.joint_names]
    np.testing.assert_allclose(offsets, OFFSET, atol=1e-4)
    assert cli.main([*words, "--against", "model"]) == 2
    assert "write --against leader" in capsys.readouterr().err


def test_without_a_rest_there_is_no_pose(tmp_path, capsys):
    recorder = DemoRecorder(CONTRACT, tmp_path / "episodes", "episode", "avoid")
    recorder.start(SECOND, STARTED)
    for tick in range(400):
        now = SECOND + tick * PERIOD_NS
        place = HOME + 0.3 * np.sin(0.1 * tick)
        recorder.add("teleop_command", joint_state_cdr(now, place), now + 100_000)
        recorder.add("joint_state", joint_state_cdr(now, place), now + 300_000)
    recorder.save(4 * SECOND)
    words = ["calibrate", "joints", str(tmp_path / "episodes"), "--into", str(tmp_path / "known")]
    assert cli.main([*words, "--against", "leader"]) == 2
    assert "nowhere in" in capsys.readouterr().err
    assert not (tmp_path / "known").exists()


def test_poses_that_are_nowhere_are_told(tmp_path, capsys):
    words = ["calibrate", "joints", str(tmp_path / "none"), "--into", str(tmp_path / "known")]
    assert cli.main(words) == 2
    assert "no poses in" in capsys.readouterr().err


def test_a_folder_without_episodes_has_no_rest(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    words = ["calibrate", "joints", str(tmp_path / "empty"), "--into", str(tmp_path / "known")]
    assert cli.main([*words, "--against", "leader"]) == 2
    assert "nowhere in" in capsys.readouterr().err
