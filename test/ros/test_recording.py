"""From nothing to episodes over ROS: simulator, gate, recorder and scripted operator together."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from harness import CONTRACT_PATH, free_domain, running, wait_for

from vdd_ros import cli
from vdd_ros.contract import Contract
from vdd_ros.episode import EpisodeStore
from vdd_ros.sim.avoid_field import way
from vdd_ros.sim.demonstrators.panda_arm import PandaArm

CONTRACT = Contract.from_yaml(CONTRACT_PATH)
TICK_NS = CONTRACT.control_period_ns


def recording(domain: int, out: Path, episodes: int):
    words = ["record", "--out", out, "--episodes", episodes, "--seed", 3, "--domain", domain]
    words += ["--contract", CONTRACT_PATH, "--json"]
    return running([sys.executable, "-m", "vdd_ros.cli", *map(str, words)], domain)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """What two demonstrations leave: the JSON line and the episodes."""
    out = tmp_path_factory.mktemp("demonstrations")
    with free_domain() as domain, recording(domain, out, 2) as command:
        assert command.wait(240.0) == 0, command.output
        result = json.loads(command.output.splitlines()[-1])
    store = EpisodeStore(out, CONTRACT)
    return result, [store.load(name) for name in store.list()]


def test_the_command_says_what_it_recorded(recorded):
    result, episodes = recorded
    assert result["episodes"] == len(episodes) == 2
    assert result["recorded_s"] == pytest.approx(
        sum(episode.manifest.duration_s for episode in episodes), abs=0.01
    )


def test_no_sample_is_lost_however_fast_time_went(recorded):
    for episode in recorded[1]:
        states = episode.streams["joint_state"]
        assert (np.diff(states.stamps_ns) == TICK_NS // 2).all()
        assert episode.manifest.verdict.level == "PASS", str(episode.manifest.verdict)
        late = states.received_ns - states.stamps_ns
        assert (np.abs(late) <= TICK_NS).all()


def test_every_tick_has_its_one_command_and_it_is_the_leader_s(recorded):
    for episode in recorded[1]:
        teleop, sent = (episode.streams[name] for name in ("teleop_command", "robot_command"))
        assert (np.diff(teleop.stamps_ns) == TICK_NS).all()
        # the gate holds the last command until it counts the leader as silent
        assert len(sent) >= len(teleop)
        leader, robot = teleop.fields["position"], sent.fields["position"][: len(teleop)]
        assert np.abs(leader - robot).max() < 0.01
        assert np.abs(leader[-1] - robot[-1]).max() < 1e-6


def test_the_way_is_a_note_and_the_one_that_was_taken(recorded):
    arm = PandaArm("RodGripper")
    ways = [episode.manifest.meta["way"] for episode in recorded[1]]
    assert len(set(ways)) == 2
    for episode in recorded[1]:
        path = np.array([arm.tip(q)[:2] for q in episode.streams["joint_state"].fields["position"]])
        assert way(path) == episode.manifest.meta["way"]
        assert set(episode.streams) == set(CONTRACT.streams)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_whatever_ends_the_command_ends_its_nodes_and_leaves_whole_episodes(tmp_path, number):
    with free_domain() as domain, recording(domain, tmp_path, 100) as command:
        wait_for(lambda: EpisodeStore(tmp_path).list(), "the first episode", 120.0)
        assert len(inhabitants(domain)) == 5
        code = command.end(number)
        assert code == (130 if number == signal.SIGINT else -9)
        wait_for(lambda: not inhabitants(domain), "all nodes to be gone")
    store = EpisodeStore(tmp_path, CONTRACT)
    assert all(store.load(name).manifest.status == "saved" for name in store.list())


def inhabitants(domain: int) -> list[int]:
    """Ids of the processes that were started for a ROS domain."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if f"ROS_DOMAIN_ID={domain}".encode() in variables:
            found.append(int(entry.name))
    return found


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--episodes", "0"], "record at least 1"),
        (["--domain", "500"], "choose one of 0 to 100"),
        (["--contract", "/nowhere.yaml"], "no contract at /nowhere.yaml"),
    ],
)
def test_bad_arguments_end_in_one_sentence(tmp_path, capsys, words, said):
    args = ["record", "--out", str(tmp_path), "--contract", str(CONTRACT_PATH), *words]
    assert cli.main(args) == 2
    assert said in capsys.readouterr().err


def test_a_node_that_fails_ends_the_command_with_its_sentence(tmp_path):
    """The simulator refuses a contract of another arm."""
    text = CONTRACT_PATH.read_text().replace("panda_joint1", "elbow")
    (tmp_path / "other.yaml").write_text(text)
    words = ["record", "--out", tmp_path / "out", "--contract", tmp_path / "other.yaml"]
    with (
        free_domain() as domain,
        running([sys.executable, "-m", "vdd_ros.cli", *map(str, words)], domain) as command,
    ):
        assert command.wait() == 2
        assert "sim_node ended with exit code 2" in command.output
        assert "are not those of the simulated arm" in command.output
