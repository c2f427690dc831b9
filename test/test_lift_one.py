"""Lift-one: where the cube lies, how it is lifted, and that who does not know where does not."""

import numpy as np
import pytest
from leading import lead, poses_in

from vdd_ros.sim.contexts import evaluation_context
from vdd_ros.sim.demonstrators import operator_of
from vdd_ros.sim.demonstrators.lift_choice import LiftOneOperator
from vdd_ros.sim.demonstrators.operator import Pose
from vdd_ros.sim.env import RobosuiteEnv
from vdd_ros.sim.tasks.lift_one import TURN, LiftOne, X, Y


@pytest.fixture(scope="module")
def env():
    env = RobosuiteEnv("lift_one")
    yield env
    env.close()


class Blind(LiftOneOperator):
    """Takes the cube to be in the middle of where it may be."""

    def pose(self, thing: str) -> Pose:
        middle = np.array([np.mean(X), np.mean(Y), super().pose(thing).position[2]])
        return Pose(middle, 0.0)


def test_the_cube_lies_anywhere_in_a_rectangle(env):
    judged = [evaluation_context("lift_one", seed) for seed in range(LiftOne.contexts)]
    assert len(set(judged)) == LiftOne.contexts
    scenes = np.array([poses_in(env, context)[0] for context in [*range(20), *judged]])
    low, high = scenes[:, :2].min(0), scenes[:, :2].max(0)
    assert (low >= (X[0], Y[0])).all() and (high <= (X[1], Y[1])).all()
    assert (high - low > 0.8 * np.array([X[1] - X[0], Y[1] - Y[0]])).all()
    turned = 2 * np.arctan2(scenes[:, 5], scenes[:, 6])
    assert 0.8 * TURN < np.abs(turned).max() <= TURN


def test_the_operator_lifts_it(env):
    operator = operator_of("lift_one", np.random.default_rng(0))
    for context in range(3):
        lead(env, operator, 0, context)
        status = env.status()
        assert (status.success, status.way, status.done) == (True, 0, 1), status


def test_who_does_not_know_where_it_lies_seldom_does(env):
    lifted = []
    for context in range(8):
        lead(env, Blind(np.random.default_rng(context)), 0, context)
        lifted.append(env.status().success)
    assert sum(lifted) <= 2
