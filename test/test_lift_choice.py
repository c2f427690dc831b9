"""Lift-choice: which cube was lifted how, and the operator that lifts each in each way."""

import numpy as np
import pytest
from leading import TICK_S, lead, seen

from vdd_ros.sim.contexts import evaluation_context
from vdd_ros.sim.demonstrators.lift_choice import LiftChoiceOperator
from vdd_ros.sim.env import RobosuiteEnv
from vdd_ros.sim.tasks.lift_choice import HALF, TURN, LiftChoice


@pytest.fixture(scope="module")
def env():
    env = RobosuiteEnv("lift_choice")
    yield env
    env.close()


def poses_in(env, context):
    env.reset(context)
    return env.poses()


def put(env, cube, position, context=0):
    """Reset, with a cube somewhere else [m, base frame]."""
    env.reset(context)
    scene = env.task.sim.data.qpos.copy()
    first = env.task.sim.model.get_joint_qpos_addr(env.task._things[cube].joints[0])[0]
    scene[first : first + 3] = env.task.table_origin + position
    env.reset(context, scene=scene)


def test_the_number_of_a_context_decides_the_scene(env):
    assert np.array_equal(poses_in(env, 3), poses_in(env, 3))
    demonstrated = [poses_in(env, context) for context in range(20)]
    evaluated = [poses_in(env, evaluation_context("lift_choice", seed)) for seed in range(20)]
    scenes = np.array(demonstrated + evaluated)[:, :, :2]
    apart = np.abs(scenes[:, None] - scenes[None]).max((2, 3)) + np.eye(len(scenes))
    assert apart.min() > 1e-4
    assert (scenes[:, 0, 1] > 0).all() and (scenes[:, 1, 1] < 0).all()


def test_at_rest_nothing_moves_and_nothing_is_decided(env):
    before = poses_in(env, 5)
    env.advance(2.0)
    assert np.abs(env.poses()[:, :3] - before[:, :3]).max() < 1e-3
    assert not env.status().finished and env.task.mode() is None


def test_poses_are_those_of_the_bodies(env):
    poses = poses_in(env, 6)
    for name, pose in zip(LiftChoice.objects, poses, strict=True):
        np.testing.assert_array_equal(pose[:3], env.task.position(name))
        x, y, z, w = pose[3:]
        yaw = 2 * np.arctan2(z, w)
        np.testing.assert_allclose(env.task.rotation(name)[:2, 0], [np.cos(yaw), np.sin(yaw)])
        assert abs(yaw) <= TURN and pose[2] == pytest.approx(HALF)
        assert (x, y) == (0.0, 0.0)


@pytest.mark.parametrize("mode", range(LiftChoice.n_modes))
def test_operator_lifts_either_cube_in_either_way(env, mode):
    operator = LiftChoiceOperator(np.random.default_rng(mode))
    for context in (10, 11):
        lead(env, operator, mode, context)
        status = env.status()
        assert (status.success, status.way, status.done) == (True, mode, 1), status


def test_success_needs_the_hold(env):
    operator = LiftChoiceOperator(np.random.default_rng(4))
    env.reset(12)
    operator.begin(seen(env), 0)
    up_s, elapsed_s = None, 0.0
    while not env.status().finished:
        env.apply(operator.command(elapsed_s, seen(env)))
        env.advance(TICK_S)
        elapsed_s += TICK_S
        if up_s is None and env.task.progress(env.tool_position()):
            up_s = elapsed_s
    assert elapsed_s - up_s == pytest.approx(0.5, abs=2 * TICK_S)


def test_a_cube_that_flies_past_the_height_is_not_lifted(env):
    put(env, "left_cube", np.array([0.5, 0.3, 0.2]))
    env.advance(0.05)
    assert env.task.progress(env.tool_position()) == 1
    env.advance(1.0)
    assert not env.status().finished and env.task.mode() is None


def test_a_cube_beside_the_table_is_a_failure(env):
    put(env, "right_cube", np.array([0.5, -0.5, 0.0]))
    env.advance(1.0)
    status = env.status()
    assert status.finished and not status.success and "fell off" in status.reason


def test_time_runs_out(env):
    env.reset(0)
    env.advance(LiftChoice.time_limit_s)
    assert env.status().reason == "not lifted after 15 s" and not env.status().success
