"""Relay: what counts as done and in which order, and the operator that does any four of five."""

import numpy as np
import pytest
from leading import TICK_S, lead, poses_in

from vdd_ros.sim.contexts import evaluation_context
from vdd_ros.sim.demonstrators.operator import seen_in
from vdd_ros.sim.demonstrators.relay import BUTTON_XY, RelayOperator
from vdd_ros.sim.env import RobosuiteEnv
from vdd_ros.sim.tasks.relay import BOARD_XY, PARTS, SHIFT, Relay, first_two, mode_of

NAMES = list(PARTS)


@pytest.fixture(scope="module")
def env():
    env = RobosuiteEnv("relay")
    yield env
    env.close()


def move(env, **joints):
    """Put parts where their joints are at these values [m, rad], and let a physics step pass."""
    for name, value in joints.items():
        env.task.sim.data.qpos[env.task._joints[NAMES.index(name)]] = value
    env.advance(0.005)


def past(name):
    """A value of the joint at which the sub-task is done, by a little."""
    begin, done = np.mean(PARTS[name].begin), PARTS[name].done
    return done + 0.05 * (done - begin)


def test_modes_are_the_ordered_pairs():
    pairs = [first_two(mode) for mode in range(Relay.n_modes)]
    assert pairs == [(a, b) for a in range(5) for b in range(5) if a != b]
    assert [mode_of(*pair) for pair in pairs] == list(range(20))


def test_the_board_lies_elsewhere_in_each_context(env):
    judged = [evaluation_context("relay", seed) for seed in range(10)]
    scenes = np.array([poses_in(env, context) for context in [*range(20), *judged]])[:, :, :3]
    button = scenes[:, NAMES.index("button"), :2] - BOARD_XY - np.array(BUTTON_XY)
    assert 0.5 * SHIFT < np.abs(button).max() <= SHIFT


def test_poses_are_those_of_the_parts_and_tell_their_state(env):
    poses = poses_in(env, 6)
    for name, pose in zip(Relay.objects, poses, strict=True):
        body = env.task.sim.data.body_xpos[env.task.sim.model.body_name2id(f"board_{name}")]
        np.testing.assert_allclose(pose[:3], body - env.task.table_origin, atol=1e-12)
    move(env, **{name: past(name) for name in NAMES})
    moved = np.linalg.norm(env.poses()[:, :3] - poses[:, :3], axis=1)
    assert moved.min() > 0.008, "a part can be done without being seen to have moved"


def test_four_done_and_kept_are_a_success_and_the_first_two_its_mode(env):
    env.reset(0)
    for name in ("lid", "slider", "switch"):
        move(env, **{name: past(name)})
    assert env.task.progress(env.tool_position()) == 3
    move(env, button=past("button"))
    env.advance(0.49)
    assert not env.status().finished
    env.advance(0.02)
    status = env.status()
    assert (status.success, status.done, status.way) == (True, 4, mode_of(3, 0))


def test_what_is_undone_does_not_count_as_first(env):
    env.reset(0)
    for joints in ({"lid": 1.4}, {"lever": 1.0}, {"lid": 0.5}, {"button": 0.018}):
        move(env, **joints)
    assert env.task.mode() == mode_of(NAMES.index("lever"), NAMES.index("button"))


def test_three_are_not_enough(env):
    env.reset(0)
    for name in ("lever", "slider", "switch"):
        move(env, **{name: past(name)})
    env.advance(Relay.time_limit_s)
    status = env.status()
    assert (status.success, status.done) == (False, 3)
    assert status.reason == "not four done after 25 s"
    assert status.way == mode_of(2, 0)


def done_in(env, mode, context):
    """What was done when [s], as the operator did it in this mode."""
    operator = RelayOperator(np.random.default_rng(mode))
    env.reset(context)
    operator.begin(seen_in(env), mode)
    when, elapsed_s = {}, 0.0
    while not env.status().finished:
        env.apply(operator.command(elapsed_s, seen_in(env)))
        env.advance(TICK_S)
        elapsed_s += TICK_S
        for number in env.task._order:
            when.setdefault(number, elapsed_s)
    return when, elapsed_s


@pytest.mark.parametrize("mode", [5, 14])
def test_operator_does_four_beginning_with_those_of_the_mode(env, mode):
    when, ended_s = done_in(env, mode, 10 + mode)
    status = env.status()
    assert (status.success, status.way, status.done) == (True, mode, 4), status
    assert tuple(when)[:2] == first_two(mode)
    assert ended_s - max(when.values()) == pytest.approx(0.5, abs=2 * TICK_S)


@pytest.mark.slow
def test_operator_succeeds_in_every_mode(env):
    operator = RelayOperator(np.random.default_rng(1))
    for mode in range(Relay.n_modes):
        lead(env, operator, mode, 100 + mode)
        assert (env.status().success, env.status().way) == (True, mode), env.status()
