"""Stacking: what is placed and what is stacked, and the operators that do it in every mode."""

from pathlib import Path

import numpy as np
import pytest
from leading import TICK_S, lead, moved, poses_in

from vdd_ros.contract import Contract
from vdd_ros.sim.contexts import evaluation_context
from vdd_ros.sim.demonstrators.operator import seen_in
from vdd_ros.sim.demonstrators.stack import Stack1Operator, Stack2Operator
from vdd_ros.sim.env import RobosuiteEnv
from vdd_ros.sim.tasks.blocks import HALF
from vdd_ros.sim.tasks.stack import ORDERS, TURN, ZONE, ZONE_HALF, Stack, Stack1, Stack2

CONTRACT = Path(__file__).resolve().parent.parent / "config" / "panda_stack_2.yaml"
FIRST, SECOND = (*ZONE, HALF), (*ZONE, 3 * HALF)

FINGERS_M = 0.10  # between the centres of two blocks, for an open finger


@pytest.fixture(scope="module")
def one():
    env = RobosuiteEnv("stack_1")
    yield env
    env.close()


@pytest.fixture(scope="module")
def two():
    env = RobosuiteEnv("stack_2")
    yield env
    env.close()


def test_blocks_lie_apart_beside_the_zone_and_alike_in_both_tasks(one, two):
    assert np.array_equal(poses_in(one, 3), poses_in(two, 3))
    judged = [evaluation_context("stack_1", seed) for seed in range(Stack1.contexts)]
    scenes = np.array([poses_in(one, context) for context in [*range(20), *judged]])
    between = np.linalg.norm(scenes[:, :, None, :2] - scenes[:, None, :, :2], axis=-1)
    assert (between + np.eye(3)).min() >= FINGERS_M
    assert (np.abs(scenes[:, :, :2] - ZONE).max(-1) > ZONE_HALF + HALF).all()
    assert scenes[:, :, 2] == pytest.approx(HALF)
    assert np.abs(2 * np.arctan2(scenes[:, :, 5], scenes[:, :, 6])).max() <= TURN


@pytest.mark.parametrize("mode", range(Stack1.n_modes))
def test_operator_places_each_block(one, mode):
    operator = Stack1Operator(np.random.default_rng(mode))
    for context in (10, 11):
        lead(one, operator, mode, context)
        status = one.status()
        assert (status.success, status.way, status.done) == (True, mode, 1), status


@pytest.mark.slow
@pytest.mark.parametrize("mode", range(Stack2.n_modes))
def test_operator_stacks_in_each_order(two, mode):
    operator = Stack2Operator(np.random.default_rng(mode))
    for context in (10, 11):
        lead(two, operator, mode, context)
        status = two.status()
        assert (status.success, status.way, status.done) == (True, mode, 2), status


def test_a_block_that_slipped_is_fetched_again(one):
    operator = Stack1Operator(np.random.default_rng(3))
    one.reset(13)
    operator.begin(seen_in(one), 1)
    lifted = slipped = False
    elapsed_s = 0.0
    while (target := operator.command(elapsed_s, seen_in(one))) is not None:
        height = one.task.position("green_block")[2]
        lifted, slipped = lifted or height > 0.08, slipped or (lifted and height < 0.03)
        if lifted and not slipped:
            target[7] = 1.0
        one.apply(target)
        one.advance(TICK_S)
        elapsed_s += TICK_S
    assert slipped and one.status().success and one.status().way == 1


def test_the_gate_need_not_slow_the_operator(two):
    contract = Contract.from_yaml(CONTRACT)
    rate_hz = contract.rates.control_hz
    targets = lead(two, Stack2Operator(np.random.default_rng(6)), 4, 15)
    velocity = np.diff(targets, axis=0) * rate_hz
    acceleration = np.diff(velocity, axis=0) * rate_hz
    assert (np.abs(velocity) <= contract.limit("velocity")).all()
    assert (np.abs(acceleration) <= contract.limit("acceleration")).all(1).mean() > 0.99


def test_a_block_does_not_slide_in_the_hand(one):
    operator = Stack1Operator(np.random.default_rng(4))
    one.reset(14)
    operator.begin(seen_in(one), 0)
    elapsed_s = 0.0
    while one.task.position("red_block")[2] < 0.08:
        one.apply(operator.command(elapsed_s, seen_in(one)))
        one.advance(TICK_S)
        elapsed_s += TICK_S
    one.advance(0.5)
    before = one.task.position("red_block") - one.tool_position()
    one.advance(4.0)
    after = one.task.position("red_block") - one.tool_position()
    assert np.abs(after - before).max() < 1e-3


def test_success_needs_the_hold(one):
    moved(one, {"blue_block": FIRST})
    one.advance(0.49)
    assert one.task.progress(one.tool_position()) == 1 and not one.status().finished
    one.advance(0.02)
    status = one.status()
    assert (status.success, status.way, status.reason) == (True, 2, "placed")


def test_the_block_that_was_there_first_counts(one):
    moved(one, {"green_block": FIRST})
    one.advance(0.2)
    assert one.task.mode() == 1
    also = (ZONE[0] + 2.2 * HALF, ZONE[1], HALF)
    moved(one, {"red_block": also, "green_block": FIRST})
    one.advance(0.2)
    assert one.task.mode() == 0  # both at once: in the objects' order


@pytest.mark.parametrize(("lower", "upper"), ORDERS)
def test_a_tower_in_the_zone_is_stacked(two, lower, upper):
    names = Stack.objects
    moved(two, {names[lower]: FIRST, names[upper]: SECOND})
    two.advance(0.6)
    status = two.status()
    assert (status.success, status.done) == (True, 2)
    assert ORDERS[status.way] == (lower, upper)


@pytest.mark.parametrize(
    ("places", "done"),
    [
        ({"red_block": FIRST}, 1),
        ({"red_block": FIRST, "green_block": (ZONE[0] + 0.05, ZONE[1], HALF)}, 1),
        ({"red_block": (0.7, 0.2, HALF), "green_block": (0.7, 0.2, 3 * HALF)}, 0),
        ({"red_block": (ZONE[0] + ZONE_HALF + 0.005, ZONE[1], HALF)}, 0),
    ],
)
def test_what_is_no_tower_in_the_zone_is_not_stacked(two, places, done):
    moved(two, places)
    two.advance(0.6)
    assert not two.status().finished and two.task.mode() is None
    assert two.task.progress(two.tool_position()) == done


def test_a_block_in_the_hand_is_not_placed(one):
    moved(one, {"red_block": FIRST})
    tool = np.array(FIRST)
    assert one.task.progress(tool) == 0 and one.task.mode() is None
    assert one.task.progress(tool + (0.0, 0.0, 0.05)) == 1
