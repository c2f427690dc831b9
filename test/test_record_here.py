"""Demonstrations recorded in one process are those that nodes would have recorded."""

from __future__ import annotations

import numpy as np
import pytest

from vdd_ros import cli
from vdd_ros.demo_recorder import DemoRecorder, State
from vdd_ros.episode import EpisodeStore
from vdd_ros.errors import UserError
from vdd_ros.sim.demonstrators import operator_of
from vdd_ros.sim.demonstrators.avoid import MAX_VELOCITY
from vdd_ros.sim.env import RobosuiteEnv
from vdd_ros.sim.record import TRIES, record


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("recorded")
    words = ["record", "--out", str(out), "--episodes", "3", "--seed", "2", "--one-process"]
    assert cli.main(words) == 0
    return out


def test_every_episode_is_saved_with_the_way_it_took(folder):
    store = EpisodeStore(folder)
    for name in store.list():
        manifest = store.manifest(name)
        assert manifest.verdict.level == "PASS", manifest.verdict
        assert manifest.meta["way"] in range(24)
    assert [store.manifest(name).meta["context"] for name in store.list()] == 3 * [20000]


def test_streams_come_at_their_rates_and_commands_keep_the_limits(folder, contract):
    episode = EpisodeStore(folder).load("episode_0001")
    for name, data in episode.streams.items():
        if name == "policy_command":
            assert len(data) == 0
            continue
        period_ns = round(1e9 / contract.streams[name].rate_hz)
        assert (np.diff(data.stamps_ns) == period_ns).all()
    sent = episode.streams["robot_command"].fields["position"]
    speed = np.abs(np.diff(sent, axis=0)) * contract.rates.control_hz
    assert (speed < contract.limit("velocity")).all() and speed.max() > 0.2 * MAX_VELOCITY.max()
    led = episode.streams["teleop_command"].fields["position"]
    assert np.abs(led - sent).max() < 0.01


def test_the_same_seed_makes_the_same_demonstrations(folder, tmp_path):
    words = ["record", "--out", str(tmp_path), "--episodes", "1", "--seed", "2", "--one-process"]
    assert cli.main(words) == 0
    (one,) = EpisodeStore(tmp_path).list()
    again = EpisodeStore(tmp_path).load(one).streams["joint_state"]
    first = EpisodeStore(folder).load("episode_0001").streams["joint_state"]
    np.testing.assert_array_equal(again.fields["position"], first.fields["position"])


def test_who_never_succeeds_is_given_up_and_nothing_is_left(tmp_path, contract):
    class LetsGo:
        def begin(self, seen, mode):
            pass

        def command(self, elapsed_s, seen):
            return seen.joints if elapsed_s < 0.2 else None

    recorder = DemoRecorder(contract, tmp_path, "episode", "avoid")
    env = RobosuiteEnv("avoid")
    with pytest.raises(UserError, match=f"mode 3 failed {TRIES} times in a row"):
        next(record(env, contract, LetsGo(), recorder, [3]))
    assert recorder.state is State.IDLE and not list(tmp_path.iterdir())
    env.close()


def test_a_task_that_nobody_shows_is_told(capsys, tmp_path):
    with pytest.raises(UserError, match="nobody shows task 'lift': choose one of avoid"):
        operator_of("lift", np.random.default_rng(0))
    words = ["record", "--out", str(tmp_path), "--one-process", "--seed", "100"]
    assert cli.main(words) == 2
    assert "write one below 100" in capsys.readouterr().err


def test_cameras_that_nobody_publishes_are_told_before_anything_is_recorded(capsys, tmp_path):
    contract = ["--contract", "config/panda_cameras.yaml"]
    assert cli.main(["record", *contract, "--out", str(tmp_path), "--one-process"]) == 2
    assert (
        "panda_cameras names the camera front, and the simulation has agent_view and in_hand"
        in capsys.readouterr().err
    )
    assert EpisodeStore(tmp_path).list() == ()
