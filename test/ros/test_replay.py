"""A person's demonstration, sent through the gate to the simulator: the cube is lifted again."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from foreign_data import CONFIG, DATA, lift
from harness import Observer, free_domain, running, running_node, wait_for
from robots import lossless_contract
from std_msgs.msg import Float64MultiArray, String

from vdd_ros import cli
from vdd_ros.contract import Contract
from vdd_ros.datasets.importing import check, read, write
from vdd_ros.episode import EpisodeStore
from vdd_ros.errors import UserError
from vdd_ros.manifest import Verdict
from vdd_ros.nodes.messages import latched_qos
from vdd_ros.nodes.replay_node import commands_of
from vdd_ros.nodes.verdicts import Verdicts

CONTRACT_PATH = CONFIG / "panda_gripper.yaml"


@pytest.fixture(scope="module")
def demonstration(tmp_path_factory):
    source, contract = lift()
    source = source.model_copy(update={"episodes": 1})
    out = tmp_path_factory.mktemp("people") / "lift"
    recordings = read(DATA / "robosuite_human" / "lift_whole.hdf5", source)
    write(check(recordings, source, contract), source, contract, out)
    return out / "episode_0001"


def test_the_cube_is_lifted_with_every_limit_in_force(demonstration):
    """As `vdd replay` does it, but for an ear that is there before the first command: in simulated
    time a replay is over before DDS has told everybody of everybody."""
    _, contract = lift()
    topic = contract.streams["robot_command"].topic
    facts = {"contract": CONTRACT_PATH, "use_sim_time": True}
    scene = {"contract": CONTRACT_PATH, "task": "lift", "scene": demonstration, "time_base": "sim"}
    with free_domain() as domain, Observer(domain) as observer:
        sent = observer.listen(Float64MultiArray, topic)
        with running_node("sim_node", domain, scene), running_node("command_gate", domain, facts):
            wait_for(lambda: observer.node.count_publishers(topic), "the gate")
            with running_node("replay_node", domain, facts | {"episode": demonstration}) as replay:
                assert replay.wait(180.0) == 0, replay.output
                assert "done: success" in replay.output
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


def test_a_verdict_of_an_episode_before_that_is_heard_late_does_not_count():
    """Whichever comes first: its publisher is discovered when it is."""
    with free_domain() as domain, Observer(domain) as observer:
        verdicts = Verdicts(observer.node, "sim_node")
        publisher = observer.publisher(String, "/sim_node/episode", latched_qos())
        publisher.publish(String(data=json.dumps({"success": False, "decided_ns": 5})))
        wait_for(lambda: verdicts.success_since(4) is False, "the verdict of an episode before")
        assert verdicts.success_since(5) is None
        publisher.publish(String(data=json.dumps({"success": True, "decided_ns": 7})))
        wait_for(lambda: verdicts.success_since(5), "the verdict of the one that runs")


def test_it_goes_as_fast_as_the_simulator(demonstration, tmp_path, capsys):
    words = ["replay", str(demonstration), "--contract", str(CONTRACT_PATH)]
    assert cli.main([*words, "--log", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["success"]


def test_an_episode_without_a_simulated_task_is_refused(tmp_path, capsys):
    source, contract = lift()
    source = source.model_copy(update={"scene": None})
    recordings = read(DATA / "robosuite_human" / "lift.hdf5", source)
    write(check(recordings, source, contract), source, contract, tmp_path / "e")
    words = ["replay", str(tmp_path / "e" / "episode_0001"), "--contract", str(CONTRACT_PATH)]
    assert cli.main(words) == 2
    assert "name one with --task" in capsys.readouterr().err


def test_the_e_stop_ends_a_replay_for_good(demonstration, tmp_path):
    lossless_contract(tmp_path / "patient.yaml", CONTRACT_PATH)
    words = [sys.executable, "-m", "vdd_ros.cli", "replay", demonstration]
    words += ["--contract", tmp_path / "patient.yaml", "--log", tmp_path, "--real-time"]
    with free_domain() as domain, Observer(domain) as observer:
        sent = observer.listen(Float64MultiArray, "/forward_position_controller/commands")
        with running([*map(str, words), "--domain", str(domain)], domain) as command:
            wait_for(lambda: len(sent) > 60, "the replay to be under way")
            observer.hold_e_stop()
            assert command.wait(60.0) == 2, command.output
            assert "the e-stop is pressed; nothing more is sent" in command.output


def test_what_is_not_fit_to_be_sent_is_refused(demonstration):
    _, contract = lift()
    episode = EpisodeStore(demonstration.parent, contract).load(demonstration.name)
    times_s, targets = commands_of(episode, contract)
    assert times_s[0] == 0.0 and len(times_s) == len(targets)
    raw = contract.to_dict()
    raw["joints"][3]["lower"] = -2.0
    with pytest.raises(UserError, match=r"asks panda_joint4 for -2\.\d* at 0\.00 s, outside"):
        commands_of(episode, Contract.from_dict(raw))
    stream = episode.streams["robot_command"]
    broken = stream.fields["position"].copy()
    broken[7, 2] = np.nan
    streams = {"robot_command": replace(stream, fields={"position": broken})}
    with pytest.raises(UserError, match="not finite"):
        commands_of(replace(episode, streams=episode.streams | streams), contract)
    verdict = Verdict(level="FAIL", reasons=("silent",))
    manifest = episode.manifest.model_copy(update={"verdict": verdict})
    with pytest.raises(UserError, match="not fit to be sent, FAIL: silent"):
        commands_of(replace(episode, manifest=manifest), contract)
