"""What holds for every task with things on the table, whatever is to be done with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from leading import moved, poses_in

from vdd_ros.contract import Contract
from vdd_ros.poses import fields_of_poses
from vdd_ros.sim.contexts import EVALUATION, VISITED, evaluation_context
from vdd_ros.sim.demonstrators import OPERATORS
from vdd_ros.sim.env import RobosuiteEnv
from vdd_ros.sim.rollout import wire
from vdd_ros.sim.tasks import TASKS

CONFIG = Path(__file__).resolve().parents[1] / "config"
STEP_S = 0.005
WITH_THINGS = [name for name in OPERATORS if TASKS[name].objects]
FIXED = ("relay",)  # its things are parts of a board
CONTEXTS = 20  # of demonstrations, that are looked at


@pytest.fixture(scope="module", params=WITH_THINGS)
def env(request):
    env = RobosuiteEnv(request.param)
    yield env
    env.close()


def test_a_context_is_a_scene_and_no_other_s(env):
    assert np.array_equal(poses_in(env, 3), poses_in(env, 3))
    judged = [evaluation_context(env.task_name, seed) for seed in range(env.task.contexts)]
    assert CONTEXTS <= VISITED < EVALUATION <= min(judged) and len(set(judged)) == env.task.contexts
    trials = {evaluation_context(env.task_name, seed) for seed in range(10_000, 10_200)}
    assert len(trials) == env.task.contexts and not trials & set(judged)
    scenes = np.array([poses_in(env, context) for context in [*range(CONTEXTS), *judged]])
    apart = np.abs(scenes[:, None] - scenes[None]).max((2, 3)) + np.eye(len(scenes))
    assert apart.min() > 1e-3


def test_at_rest_nothing_moves_and_nothing_is_decided(env):
    for context in (5, EVALUATION):
        before = poses_in(env, context)
        env.advance(2.0)
        assert np.abs(env.poses() - before).max() < 1e-3
        status = env.status()
        assert not status.finished and status.way is None and env.task.mode() is None
        assert env.task.progress(env.tool_position()) == 0


def test_poses_are_those_of_the_bodies(env):
    poses = poses_in(env, 6)
    assert poses.shape == (len(env.task.objects), 7)
    np.testing.assert_allclose(np.linalg.norm(poses[:, 3:], axis=1), 1.0)
    if env.task_name in FIXED:
        return
    for name, pose in zip(env.task.objects, poses, strict=True):
        joint = env.task.sim.data.get_joint_qpos(f"{name}_joint0")
        np.testing.assert_allclose(pose[:3], joint[:3] - env.task.table_origin, atol=1e-9)
        np.testing.assert_allclose(np.roll(pose[3:], 1), joint[3:], atol=1e-9)
        np.testing.assert_array_equal(pose[:3], env.task.position(name))
        heading = fields_of_poses(pose[None])["heading"]
        np.testing.assert_allclose(env.task.rotation(name)[:2, 0], heading, atol=1e-9)


def test_the_contract_is_of_the_task(env):
    contract = Contract.from_yaml(CONFIG / f"panda_{env.task_name}.yaml")
    assert contract.objects == env.task.objects
    assert wire(contract, env.task_name).pose_streams == {"objects": 20_000_000}
    fields = fields_of_poses(env.poses())
    told = sum(fields[p.field].size for p in contract.observation if p.stream == "objects")
    assert contract.observation_dim == len(env.joints) + told


def test_too_late_is_a_failure(env):
    env.reset(0)
    limit_s = env.task.time_limit_s
    env.advance(limit_s - STEP_S)
    assert not env.status().finished
    env.advance(STEP_S)
    status = env.status()
    assert status.finished and not status.success
    assert status.reason == f"not {env.task.achieved} after {limit_s:g} s"


@pytest.mark.parametrize("name", [name for name in WITH_THINGS if name not in FIXED])
def test_off_the_table_is_a_failure(name):
    env = RobosuiteEnv(name)
    moved(env, {env.task.objects[0]: (0.5, 0.6, 0.02)})
    env.advance(1.0)
    status = env.status()
    assert status.finished and not status.success and "fell off the table" in status.reason
    env.close()
