"""Sorting: what is in its bin, in which pattern it arrived, and the operator that sorts."""

import numpy as np
import pytest
from leading import lead, moved, poses_in

from vdd_ros.sim.contexts import evaluation_context
from vdd_ros.sim.demonstrators.sort import SortOperator
from vdd_ros.sim.env import RobosuiteEnv
from vdd_ros.sim.tasks.blocks import HALF
from vdd_ros.sim.tasks.sort import BIN_X, BIN_Y, PATTERNS, TURN, Sort

LEFT, RIGHT = BIN_X - 0.05, BIN_X + 0.05
SORTED = {
    "red_block_1": (LEFT, BIN_Y["red"], HALF),
    "red_block_2": (RIGHT, BIN_Y["red"], HALF),
    "blue_block_1": (LEFT, BIN_Y["blue"], HALF),
    "blue_block_2": (RIGHT, BIN_Y["blue"], HALF),
}
FINGERS_M = 0.10  # between the centres of two blocks, for an open finger
AWAY = np.array([0.5, 0.0, 0.3])  # [m] where the tool touches nothing


@pytest.fixture(scope="module")
def env():
    env = RobosuiteEnv("sort")
    yield env
    env.close()


def arrive(env, order):
    """Let blocks appear in their bins one after the other; what the task makes of it."""
    env.reset(0)
    data, there = env.task.sim.data, []
    for name in order:
        there.append(name)
        pose = data.get_joint_qpos(f"{name}_joint0").copy()
        pose[:3] = env.task.table_origin + SORTED[name]
        data.set_joint_qpos(f"{name}_joint0", pose)
        env.task.sim.forward()
        assert env.task.progress(AWAY) == len(there)
    return env.task.mode()


def test_a_finger_fits_between_blocks_and_the_first_of_each_colour_is_nearer(env):
    judged = [evaluation_context("sort", seed) for seed in range(Sort.contexts)]
    scenes = np.array([poses_in(env, context) for context in [*range(20), *judged]])
    between = np.linalg.norm(scenes[:, :, None, :2] - scenes[:, None, :, :2], axis=-1)
    assert (between + np.eye(4)).min() >= FINGERS_M
    x = scenes[:, :, 0]
    assert (x[:, 0] < x[:, 1]).all() and (x[:, 2] < x[:, 3]).all()
    assert scenes[:, :, 2] == pytest.approx(HALF)
    assert np.abs(2 * np.arctan2(scenes[:, :, 5], scenes[:, :, 6])).max() <= TURN


@pytest.mark.slow
@pytest.mark.parametrize("mode", range(Sort.n_modes))
def test_operator_sorts_in_each_pattern(env, mode):
    operator = SortOperator(np.random.default_rng(mode))
    lead(env, operator, mode, context=10 + mode)
    status = env.status()
    assert (status.success, status.way, status.done) == (True, mode, 4), status


@pytest.mark.parametrize("mode", range(Sort.n_modes))
def test_the_order_of_arrival_is_the_mode(env, mode):
    of = {"r": ["red_block_1", "red_block_2"], "b": ["blue_block_2", "blue_block_1"]}
    assert arrive(env, [of[colour].pop() for colour in PATTERNS[mode]]) == mode


def test_a_block_that_left_its_bin_arrives_anew(env):
    order = ["red_block_1", "blue_block_1"]
    assert arrive(env, order) is None
    data = env.task.sim.data
    pose = data.get_joint_qpos("red_block_1_joint0").copy()
    pose[:3] = env.task.table_origin + (0.5, 0.0, HALF)
    data.set_joint_qpos("red_block_1_joint0", pose)
    env.task.sim.forward()
    assert env.task.progress(AWAY) == 1
    for name in ("blue_block_2", "red_block_1", "red_block_2"):
        pose[:3] = env.task.table_origin + SORTED[name]
        data.set_joint_qpos(f"{name}_joint0", pose)
        env.task.sim.forward()
        env.task.progress(AWAY)
    assert PATTERNS[env.task.mode()] == "bbrr"


def test_success_needs_the_hold_and_all_four(env):
    moved(env, SORTED)
    env.advance(0.49)
    assert env.task.progress(AWAY) == 4 and not env.status().finished
    env.advance(0.02)
    assert env.status().success and env.status().done == 4


def test_a_block_in_the_wrong_bin_is_not_sorted(env):
    moved(env, {**SORTED, "red_block_2": (RIGHT, BIN_Y["blue"], 3 * HALF)})
    env.advance(0.6)
    assert not env.status().finished and env.task.progress(AWAY) == 3


def test_a_block_in_the_hand_is_not_sorted(env):
    moved(env, SORTED)
    assert env.task.progress(np.array(SORTED["red_block_1"])) == 3
