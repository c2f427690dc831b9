"""Lift-choice: which cube was lifted how, and the operator that lifts each in each way."""

import numpy as np
import pytest
from leading import TICK_S, lead, moved, poses_in

from vdd_ros.sim.contexts import evaluation_context
from vdd_ros.sim.demonstrators.lift_choice import LiftChoiceOperator
from vdd_ros.sim.demonstrators.operator import seen_in
from vdd_ros.sim.env import RobosuiteEnv
from vdd_ros.sim.tasks.lift_choice import HALF, TURN, LiftChoice


@pytest.fixture(scope="module")
def env():
    env = RobosuiteEnv("lift_choice")
    yield env
    env.close()


def test_one_cube_lies_on_either_side(env):
    judged = [evaluation_context("lift_choice", seed) for seed in range(20)]
    scenes = np.array([poses_in(env, context) for context in [*range(20), *judged]])
    assert (scenes[:, 0, 1] > 0).all() and (scenes[:, 1, 1] < 0).all()
    assert scenes[:, :, 2] == pytest.approx(HALF) and (scenes[:, :, 3:5] == 0.0).all()
    assert np.abs(2 * np.arctan2(scenes[:, :, 5], scenes[:, :, 6])).max() <= TURN


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
    operator.begin(seen_in(env), 0)
    up_s, elapsed_s = None, 0.0
    while not env.status().finished:
        env.apply(operator.command(elapsed_s, seen_in(env)))
        env.advance(TICK_S)
        elapsed_s += TICK_S
        if up_s is None and env.task.progress(env.tool_position()):
            up_s = elapsed_s
    assert elapsed_s - up_s == pytest.approx(0.5, abs=2 * TICK_S)


def test_a_cube_that_flies_past_the_height_is_not_lifted(env):
    moved(env, {"left_cube": (0.5, 0.3, 0.2)})
    env.advance(0.05)
    assert env.task.progress(env.tool_position()) == 1
    env.advance(1.0)
    assert not env.status().finished and env.task.mode() is None
