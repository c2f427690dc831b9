"""A person's demonstration, sent through the gate to the simulator: the cube is lifted again."""

import json
import sys

import numpy as np
import pytest
from foreign_data import CONFIG, DATA, lift
from harness import Observer, free_domain, running
from std_msgs.msg import Float64MultiArray

from vdd_ros import cli
from vdd_ros.datasets.importing import check, read, write
from vdd_ros.episode import EpisodeStore

CONTRACT_PATH = CONFIG / "panda_gripper.yaml"


@pytest.fixture(scope="module")
def demonstration(tmp_path_factory):
    source, contract = lift()
    source = source.model_copy(update={"episodes": 1})
    out = tmp_path_factory.mktemp("people") / "lift"
    recordings = read(DATA / "robosuite_human" / "lift_whole.hdf5", source)
    write(check(recordings, source, contract), source, contract, out)
    return out / "episode_0001"


def test_the_cube_is_lifted_with_every_limit_in_force(demonstration, tmp_path):
    _, contract = lift()
    words = [sys.executable, "-m", "vdd_ros.cli", "replay", demonstration, "--json"]
    words += ["--contract", CONTRACT_PATH, "--log", tmp_path]
    with free_domain() as domain, Observer(domain) as observer:
        topic = contract.streams["robot_command"].topic
        sent = observer.listen(Float64MultiArray, topic)
        with running([*map(str, words), "--domain", str(domain)], domain) as command:
            assert command.wait(180.0) == 0, command.output
            result = json.loads(command.output.splitlines()[-1])
    assert result["ok"] and result["task"] == "lift"
    commands = np.array([message.data for message in sent])
    assert len(commands) > 300
    period_s = 1.0 / contract.rates.control_hz
    moves = np.diff(commands, axis=0)
    slack = 1.0 + 1e-9
    assert (commands >= contract.limit("lower")).all()
    assert (commands <= contract.limit("upper")).all()
    assert (np.abs(moves) <= contract.limit("velocity") * period_s * slack).all()
    changes = np.abs(np.diff(moves, axis=0))
    assert (changes <= contract.limit("acceleration") * period_s**2 * slack + 1e-12).all()
    # what a person's hand on the gripper's button asks for at once takes its time
    episode = EpisodeStore(demonstration.parent, contract).load(demonstration.name)
    asked = np.diff(episode.streams["robot_command"].fields["position"][:, 7])
    assert np.abs(asked).max() == 1.0 and np.abs(moves[:, 7]).max() < 0.3


def test_an_episode_without_a_simulated_task_is_refused(tmp_path, capsys):
    source, contract = lift()
    source = source.model_copy(update={"scene": None})
    recordings = read(DATA / "robosuite_human" / "lift.hdf5", source)
    write(check(recordings, source, contract), source, contract, tmp_path / "e")
    words = ["replay", str(tmp_path / "e" / "episode_0001"), "--contract", str(CONTRACT_PATH)]
    assert cli.main(words) == 2
    assert "name one with --task" in capsys.readouterr().err
