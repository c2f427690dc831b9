"""A task with things on the table over ROS: where they are is told, recorded, and seen alike."""

from __future__ import annotations

import json
import sys

import numpy as np
from harness import CONTRACT_PATH, free_domain, running

from vdd_ros.contract import Contract
from vdd_ros.episode import EpisodeStore
from vdd_ros.policies.windows import windows_of
from vdd_ros.sim.env import RobosuiteEnv

PATH = CONTRACT_PATH.with_name("panda_lift_choice.yaml")
FIRST_SCENE = 4  # of a simulator that begins with seed 3: the demonstrator sets it back once
SCENE_M = 1e-3  # by which cubes settle


def test_a_cube_is_lifted_over_ros_and_its_way_up_is_recorded(tmp_path):
    contract, task = Contract.from_yaml(PATH), "lift_choice"
    words = ["record", "--task", task, "--contract", PATH, "--out", tmp_path, "--episodes", 1]
    with free_domain() as domain:
        words += ["--seed", 3, "--domain", domain, "--json"]
        with running([sys.executable, "-m", "vdd_ros.cli", *map(str, words)], domain) as command:
            assert command.wait(240.0) == 0, command.output
            assert json.loads(command.output.splitlines()[-1])["episodes"] == 1
    (name,) = EpisodeStore(tmp_path, contract).list()
    episode = EpisodeStore(tmp_path, contract).load(name)
    assert episode.manifest.verdict.level == "PASS", str(episode.manifest.verdict)
    objects = episode.streams["objects"]
    assert (np.diff(objects.stamps_ns) == 20_000_000).all()

    env = RobosuiteEnv(task)
    env.reset(FIRST_SCENE)
    position = objects.fields["position"].reshape(len(objects), -1, 3)
    assert np.abs(position[0, :2] - env.poses()[:2, :3]).max() < SCENE_M
    heights = position[:, :2, 2]
    assert heights.max() > 0.1 and heights[0].max() < 0.03
    np.testing.assert_allclose(
        np.linalg.norm(objects.fields["heading"].reshape(len(objects), -1, 2)[0], axis=1),
        1.0,
        atol=1e-3,
    )

    seen = windows_of(contract, [episode], 1, 8).observations[:, 0]
    assert seen.shape[1] == contract.observation_dim
    first = len(contract.joints)
    assert np.abs(seen[-1, first : first + 3] - position[-1, 0]).max() < 0.02
    env.close()


def test_an_operator_that_is_not_told_where_things_lie_says_so_at_once(tmp_path):
    contract = PATH.with_name("panda_lift_one_blind.yaml")
    words = ["record", "--task", "lift_one", "--contract", contract]
    with free_domain() as domain:
        words += ["--out", tmp_path / "demos", "--domain", domain]
        with running([sys.executable, "-m", "vdd_ros.cli", *map(str, words)], domain) as command:
            assert command.wait(120.0) == 2, command.output
            told = command.output
    assert "panda_lift_one_blind has no poses of objects, by which the scripted" in told
    assert EpisodeStore(tmp_path / "demos").list() == ()
