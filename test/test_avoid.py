"""The avoid task: how ways are counted, what a touch is, and the operator that crosses."""

from itertools import pairwise

import numpy as np
import pytest

from vdd_ros.sim.avoid_field import FIELD, N_WAYS, gaps, way
from vdd_ros.sim.demonstrators.avoid import (
    FOLLOW_ERROR,
    MAX_ACCELERATION,
    MAX_VELOCITY,
    AvoidOperator,
)
from vdd_ros.sim.demonstrators.operator import Seen
from vdd_ros.sim.demonstrators.panda_arm import PandaArm
from vdd_ros.sim.demonstrators.route import CLEARANCE, draw_route
from vdd_ros.sim.tasks.avoid import Avoid
from vdd_ros.sim.tasks.table_task import HOLD_S

START = np.array([FIELD.centre_x, FIELD.start_y])
TICK_S = 0.01


def seen(joints: np.ndarray) -> Seen:
    """What the operator sees: the arm alone."""
    return Seen(joints, {})


@pytest.fixture(scope="module")
def arm():
    return PandaArm("RodGripper")


def polyline(*points):
    """Straight lines between `points`, 20 samples each."""
    legs = [np.linspace(a, b, 20, endpoint=False) for a, b in pairwise(points)]
    return np.vstack([*legs, points[-1]])


def through(gap_numbers):
    """Straight lines from the start through the middles of the given gaps to the far side."""
    points = [
        (FIELD.centre_x + FIELD.spacing_x * (gap - (row + 1) / 2), FIELD.rows_y[row])
        for row, gap in enumerate(gap_numbers)
    ]
    return polyline(START, *points, (points[-1][0], 0.3))


def drive(env, operator, number, seed=0):
    """One episode led by `operator`; joints and targets at every tick, (T, 2, 7)."""
    env.reset(seed)
    operator.begin(seen(env.observe().position), number)
    log = []
    while (target := operator.command(len(log) * TICK_S, seen(env.observe().position))) is not None:
        log.append((env.observe().position, target))
        env.apply(target)
        env.advance(TICK_S)
    return np.array(log)


def test_each_choice_of_gaps_is_one_way():
    numbers = [
        way(through((side, middle, last)))
        for side in range(2)
        for middle in range(3)
        for last in range(4)
    ]
    assert numbers == list(range(N_WAYS))
    assert [way(through(gaps(number))) for number in range(N_WAYS)] == numbers


def test_no_way_before_the_last_row_is_passed():
    path = through((0, 1, 2))
    assert way(path[path[:, 1] < FIELD.rows_y[2]]) is None
    assert way(path[:0]) is None


def test_backing_out_of_a_gap_does_not_count():
    x, y = FIELD.row_x(0)[0], FIELD.rows_y[0]
    peek = polyline(START, (x - 0.07, y + 0.03), (x - 0.07, y - 0.05), (x + 0.07, y - 0.05))
    onwards = through((1, 2, 3))
    assert way(np.vstack([peek, onwards[onwards[:, 1] > y - 0.05]])) == way(onwards) == 23


@pytest.mark.parametrize("number", [-1, N_WAYS])
def test_there_is_no_other_way(number):
    with pytest.raises(ValueError, match=r"not one of 0\.\.23"):
        gaps(number)


@pytest.mark.parametrize(
    ("target_xyz", "touched"),
    [
        ((FIELD.centre_x, FIELD.rows_y[0], FIELD.rod_height), "cylinder_0"),
        ((FIELD.centre_x, FIELD.start_y, -0.02), "table"),
    ],
)
def test_running_into_something_is_a_touch_for_good(env, arm, target_xyz, touched):
    env.reset(0)
    line = np.linspace(arm.tip(env.observe().position), target_xyz, 60)
    for target in [*arm.follow(line, env.observe().position), Avoid.start_q]:
        env.apply(target)
        env.advance(0.05)
    env.advance(1.0)
    status = env.status()
    assert status.finished and not status.success
    assert status.way is None
    assert touched in status.reason and "rod" in status.reason


def test_lifting_the_rod_over_the_field_is_no_crossing(env, arm):
    env.reset(0)
    above = (FIELD.centre_x, FIELD.rows_y[0], FIELD.cylinder_height + 0.05)
    for target in arm.follow(np.linspace(START.tolist() + [0.04], above, 60), Avoid.start_q):
        env.apply(target)
        env.advance(0.05)
    status = env.status()
    assert status.finished and not status.success and "touched" not in status.reason
    assert "lifted" in status.reason


@pytest.mark.slow
def test_operator_crosses_along_every_way(env):
    operator = AvoidOperator(np.random.default_rng(1))
    for number in range(N_WAYS):
        drive(env, operator, number)
        status = env.status()
        assert (status.success, status.way) == (True, number), status


def test_success_needs_the_hold(env):
    """Over the line is not enough: the verdict comes half a second later, not before."""
    operator = AvoidOperator(np.random.default_rng(2))
    env.reset(0)
    operator.begin(seen(env.observe().position), 5)
    passed_s, elapsed_s = None, 0.0
    while not env.status().finished:
        env.apply(operator.command(elapsed_s, seen(env.observe().position)))
        env.advance(TICK_S)
        elapsed_s += TICK_S
        if passed_s is None and env.tool_position()[1] >= FIELD.finish_y:
            passed_s = elapsed_s
    assert env.status().success
    assert HOLD_S - TICK_S <= elapsed_s - passed_s <= HOLD_S + TICK_S


def test_same_seeds_same_episode(env):
    first, second = (drive(env, AvoidOperator(np.random.default_rng(3)), 8) for _ in range(2))
    other = drive(env, AvoidOperator(np.random.default_rng(4)), 8)
    assert np.array_equal(first, second)
    assert first.shape != other.shape or not np.allclose(first, other)


def test_paths_of_one_way_differ_by_a_centimetre_and_stay_clear():
    rng = np.random.default_rng(5)
    for number in range(N_WAYS):
        routes = [draw_route(rng, START, number) for _ in range(100)]
        assert min(map(FIELD.clearance, routes)) >= CLEARANCE >= 0.01
        crossings = [np.interp(FIELD.rows_y, r[:, 1], r[:, 0]) for r in routes]
        assert (np.std(crossings, axis=0, ddof=1) >= 0.01).all()


@pytest.mark.slow
def test_speeds_of_one_way_differ_and_keep_the_limits():
    operator = AvoidOperator(np.random.default_rng(6))
    speeds = []
    for _ in range(40):
        motion = operator.plan(Avoid.start_q, 18)
        q = motion.at(np.arange(-TICK_S, motion.duration_s + 2 * TICK_S, TICK_S))
        velocity = np.diff(q, axis=0) / TICK_S
        assert (np.abs(velocity) <= MAX_VELOCITY).all()
        assert (np.abs(np.diff(velocity, axis=0)) / TICK_S <= MAX_ACCELERATION).all()
        speeds.append(motion.line.x[-1] / motion.duration_s)
    assert np.std(speeds, ddof=1) / np.mean(speeds) >= 0.15


def test_hardest_way_keeps_the_limits():
    operator = AvoidOperator(np.random.default_rng(7))
    for _ in range(5):
        motion = operator.plan(Avoid.start_q, 15)
        q = motion.at(np.arange(0.0, motion.duration_s, TICK_S))
        assert (np.abs(np.diff(q, axis=0)) / TICK_S <= MAX_VELOCITY).all()
        assert (np.abs(np.diff(q, n=2, axis=0)) / TICK_S**2 <= MAX_ACCELERATION).all()


def test_operator_starts_at_once_and_stands_still_at_the_end(arm):
    operator = AvoidOperator(np.random.default_rng(8))
    operator.begin(seen(Avoid.start_q), 3)
    targets, elapsed_s = [Avoid.start_q], 0.0
    while (target := operator.command(elapsed_s, seen(targets[-1]))) is not None:
        targets.append(target)
        elapsed_s += TICK_S
    assert np.abs(targets[1] - Avoid.start_q).max() < 1e-3
    assert np.linalg.norm(arm.tip(targets[11]) - arm.tip(targets[1])) > 1e-3
    assert np.ptp(targets[-round(0.5 / TICK_S) :], axis=0).max() == 0
    assert arm.tip(targets[-1])[1] > FIELD.finish_y


def test_operator_lets_go_of_an_arm_that_does_not_follow():
    operator = AvoidOperator(np.random.default_rng(9))
    operator.begin(seen(Avoid.start_q), 0)
    commands = [operator.command(t, seen(Avoid.start_q)) for t in np.arange(0.0, 10.0, 0.1)]
    sent = [command for command in commands if command is not None]
    assert 1 < len(sent) < 40, "it went on for the whole crossing"
    assert np.abs(np.array(sent) - Avoid.start_q).max() <= FOLLOW_ERROR


def test_operator_without_a_plan_or_a_reachable_start_says_so(arm):
    with pytest.raises(RuntimeError, match="begin"):
        AvoidOperator(np.random.default_rng(0)).command(0.0, seen(Avoid.start_q))
    with pytest.raises(RuntimeError, match="cannot reach"):
        arm.follow(np.array([[1.2, 0.0, 0.04]]), Avoid.start_q)
