"""SafetyFilter: its limits hold whatever is asked, and it follows what can be followed."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vdd_ros import hostile
from vdd_ros.contract import Contract
from vdd_ros.safety import LIMITS, SafetyFilter
from vdd_ros.step_limits import StepLimits

TOLERANCE = 1e-9


def one_joint(lower=-1.0, upper=1.0, velocity=2.0, acceleration=10.0, control_hz=100.0) -> Contract:
    stream = {"topic": "/x", "type": "sensor_msgs/msg/JointState", "rate_hz": 100.0}
    stream |= {"max_age_s": 0.1, "timeline": "header"}
    limits = {"lower": lower, "upper": upper, "velocity": velocity, "acceleration": acceleration}
    return Contract.from_dict(
        {
            "format_version": 1,
            "name": "one_joint",
            "joints": [{"name": "joint", "unit": "rad", **limits}],
            "frames": {"base": "base", "tool": "tool"},
            "rates": {"control_hz": control_hz, "policy_hz": 10.0},
            "streams": dict.fromkeys(["joint_state", "policy_command", "robot_command"], stream),
            "observation": [{"name": "q", "stream": "joint_state", "field": "position"}],
            "action": {"name": "q", "stream": "robot_command", "meaning": "absolute_position"},
        }
    )


contracts = st.builds(
    one_joint,
    lower=st.floats(-2.0, -0.1),
    upper=st.floats(0.1, 2.0),
    velocity=st.floats(0.01, 10.0),
    acceleration=st.floats(0.05, 100.0),
    control_hz=st.sampled_from([20.0, 100.0, 500.0]),
)
quick_contracts = st.builds(
    one_joint,
    velocity=st.floats(0.5, 10.0),
    acceleration=st.floats(1.0, 100.0),
    control_hz=st.sampled_from([20.0, 100.0]),
)
targets = st.floats(allow_nan=True, allow_infinity=True, width=64) | st.floats(-3.0, 3.0)
# a target and for how many periods it is asked for: long enough to reach full speed
plans = st.lists(st.tuples(targets, st.integers(1, 40)), min_size=1, max_size=8)


def assert_within(filter_, position, before, two_before):
    move, move_before = position - before, before - two_before
    assert np.isfinite(position).all()
    assert (position >= filter_.lower - TOLERANCE).all()
    assert (position <= filter_.upper + TOLERANCE).all()
    assert (np.abs(move) <= filter_.max_move + TOLERANCE).all()
    assert (np.abs(move - move_before) <= filter_.max_change + TOLERANCE).all()


@settings(max_examples=200, deadline=None)
@given(contract=contracts, start=st.floats(0.0, 1.0), plan=plans, stop_after=st.integers(0, 200))
def test_limits_hold_and_it_stops_in_time_whatever_is_asked(contract, start, plan, stop_after):
    filter_ = SafetyFilter(contract)
    position = filter_.lower + start * (filter_.upper - filter_.lower)
    filter_.reset(position)
    before, two_before = position, position
    asked = [target for target, periods in plan for _ in range(periods)][:stop_after]
    for target in asked:
        command = filter_.step(np.array([target]))
        assert (command.refused == "not_finite") == (not math.isfinite(target))
        assert_within(filter_, command.position, before, two_before)
        before, two_before = command.position, before
    speed = float(np.abs(before - two_before)[0])
    most = speed / float(filter_.max_change[0]) + 2  # v / a_max in periods, and two more
    periods = 0
    while not filter_.at_rest:
        position = filter_.brake().position
        assert_within(filter_, position, before, two_before)
        before, two_before = position, before
        periods += 1
        assert periods <= most


@settings(max_examples=60, deadline=None)
@given(contract=quick_contracts, start=st.floats(0.0, 1.0), goal=st.floats(0.0, 1.0))
def test_a_standing_target_is_reached_without_overshoot(contract, start, goal):
    filter_ = SafetyFilter(contract)
    span = filter_.upper - filter_.lower
    begin, target = filter_.lower + start * span, filter_.lower + goal * span
    filter_.reset(begin)
    way = float(np.abs(target - begin)[0])
    bound = way / filter_.max_move[0] + 2 * math.sqrt(way / filter_.max_change[0])
    bound += filter_.max_move[0] / filter_.max_change[0] + 5
    reached = [filter_.step(target).position for _ in range(math.ceil(bound))]
    assert np.abs(reached[-1] - target) <= TOLERANCE
    low, high = np.minimum(begin, target) - TOLERANCE, np.maximum(begin, target) + TOLERANCE
    assert (low <= np.array(reached)).all() and (np.array(reached) <= high).all()


def test_a_target_that_moves_within_the_limits_is_followed_exactly():
    filter_ = SafetyFilter(one_joint())
    filter_.reset(np.zeros(1))
    for k in range(300):
        target = np.array([0.3 * np.sin(0.03 * k)])
        position = filter_.step(target).position
        if k > 50:  # at first it has to catch up with the velocity
            np.testing.assert_allclose(position, target, atol=TOLERANCE)


def panda() -> SafetyFilter:
    return SafetyFilter(Contract.from_yaml("config/panda_avoid.yaml"))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_limits_of_seven_joints_hold_while_targets_jump(seed):
    filter_, rng = panda(), np.random.default_rng(seed)
    before = two_before = filter_.lower + rng.random(7) * (filter_.upper - filter_.lower)
    filter_.reset(before)
    for k in range(300):
        if k % 25 == 0:
            target = filter_.lower - 0.5 + rng.random(7) * (filter_.upper - filter_.lower + 1.0)
        position = filter_.step(target + 0.01 * rng.standard_normal(7)).position
        assert_within(filter_, position, before, two_before)
        before, two_before = position, before


def test_joints_that_start_together_arrive_together():
    filter_, begin = panda(), np.array([0.0, 0.35, 0.0, -2.2, 0.0, 2.55, 0.8])
    way = np.array([0.4, -0.2, 0.05, 0.6, 0.01, -0.3, 0.0])
    filter_.reset(begin)
    done = np.array([filter_.step(begin + way).position - begin for _ in range(120)])
    np.testing.assert_allclose(done[-1], way, atol=TOLERANCE)
    share = done[:, 3] / way[3]
    assert 0.2 < share[20] < 0.8
    np.testing.assert_allclose(done, share[:, None] * way, atol=TOLERANCE)


def test_a_change_of_direction_stays_in_the_plane_of_the_old_and_the_new_one():
    """Joint by joint, the limits would bend the arm into poses that neither direction knows."""
    filter_, begin = panda(), np.array([0.0, 0.35, 0.0, -2.2, 0.0, 2.55, 0.8])
    old = np.array([0.004, -0.003, 0.001, 0.008, 0.0, -0.002, 0.001])
    new = np.array([-0.003, -0.005, 0.002, -0.009, 0.001, 0.004, 0.0])
    filter_.reset(begin)
    for k in range(1, 41):
        filter_.step(begin + k * old)
    turn, limited = filter_.position, 0
    plane = np.linalg.qr(np.column_stack([old, new]))[0]
    for k in range(1, 21):
        command = filter_.step(begin + 40 * old + k * new)
        limited += "acceleration" in command.limited
        offset = command.position - turn
        assert np.abs(offset - plane @ (plane.T @ offset)).max() < TOLERANCE
    assert limited > 3


def test_a_target_at_full_speed_into_a_limit_is_left_in_time():
    filter_ = SafetyFilter(one_joint())
    filter_.reset(np.zeros(1))
    before = two_before = np.zeros(1)
    for k in range(120):
        position = filter_.step(np.array([0.02 * k])).position
        assert_within(filter_, position, before, two_before)
        before, two_before = position, before
    np.testing.assert_allclose(before, 1.0)


def test_limits_that_shaped_a_command_are_named():
    filter_ = SafetyFilter(one_joint())
    filter_.reset(np.zeros(1))
    assert filter_.step(np.array([0.0005])).limited == ()
    assert filter_.step(np.array([0.5])).limited == ("velocity", "acceleration")
    assert "position" in filter_.step(np.array([1.5])).limited


def test_none_is_named_where_a_target_goes_to_the_very_limits_and_is_followed():
    """Whatever rounding makes of its differences."""
    filter_ = SafetyFilter(one_joint())
    filter_.reset(np.array([-1.0]))
    moves = np.minimum(np.arange(1, 60) * filter_.max_change[0], filter_.max_move[0])
    targets = -1.0 + np.cumsum(moves)
    assert np.diff(targets).max() > filter_.max_move[0], "rounding did"
    for target in targets:
        command = filter_.step(np.array([target]))
        assert command.position == pytest.approx(target, abs=1e-12) and command.limited == ()


@pytest.mark.parametrize("jerk", [False, True], ids=["acceleration", "jerk"])
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_named_are_the_limits_that_the_target_itself_would_have_broken(jerk, seed):
    """Sent as it was asked for, after the commands before it."""
    rng = np.random.default_rng(seed)
    contract = hostile.robot(rng, jerk, joints=2)
    limits, filter_ = StepLimits.of(contract), SafetyFilter(contract)
    path = [hostile.start(rng, limits)] * 3
    filter_.reset(path[0])
    for _ in range(100):
        onward = 2 * path[-1] - path[-2] + rng.normal(size=2) * limits.change
        near = onward + rng.normal(size=2) * limits.move * 10.0 ** rng.uniform(-6, 1)
        command = filter_.step(near)
        asked = np.array([*path[-3:], near])
        beyond = [(near < limits.lower) | (near > limits.upper)]
        for order, most in enumerate((limits.move, limits.change, limits.bend), 1):
            beyond.append(np.abs(np.diff(asked, order, axis=0)[-1]) > most)
        broken = tuple(name for name, joints in zip(LIMITS, beyond, strict=True) if joints.any())
        followed = np.abs(command.position - near).max() <= 1e-12
        assert command.limited == (() if followed else broken)
        path.append(command.position)


def test_a_refused_target_brakes_from_the_last_command_sent():
    filter_ = SafetyFilter(one_joint())
    filter_.reset(np.zeros(1))
    for _ in range(5):
        last = filter_.step(np.array([0.9])).position
    move = last - 0.0
    for bad, reason in ((np.array([np.nan]), "not_finite"), (np.zeros(2), "wrong_size")):
        command = filter_.step(bad)
        assert command.refused == reason and command.limited == ()
        assert 0.0 < command.position - last < move
        last = command.position


def test_an_arm_that_starts_outside_its_limits_only_comes_back():
    filter_ = SafetyFilter(one_joint())
    filter_.reset(np.array([1.1]))
    positions = [filter_.step(np.array([5.0])).position[0] for _ in range(100)]
    assert np.diff([1.1, *positions]).max() <= TOLERANCE
    assert positions[-1] == pytest.approx(1.0)


@pytest.mark.parametrize("position", [np.array([np.nan]), np.zeros(2)])
def test_it_does_not_begin_anywhere_unknown(position):
    with pytest.raises(ValueError, match="cannot begin"):
        SafetyFilter(one_joint()).reset(position)


def test_it_stands_nowhere_before_it_is_told_and_then_where_it_was_told():
    filter_, begin = SafetyFilter(one_joint()), np.array([0])
    assert filter_.position is None
    filter_.reset(begin)
    begin += 1  # what becomes of the caller's array is nothing to it
    assert filter_.position.dtype == np.float64 and filter_.position.tolist() == [0.0]
    assert filter_.step(np.zeros(1)).position.tolist() == [0.0]


def test_an_arm_that_came_to_rest_by_itself_goes_on_from_there():
    filter_ = SafetyFilter(one_joint())
    filter_.stand()
    assert filter_.position is None, "nobody said where"
    filter_.reset(np.zeros(1))
    for _ in range(5):
        last = filter_.step(np.array([0.9])).position
    filter_.stand()
    assert filter_.at_rest and filter_.position == last
    np.testing.assert_array_equal(filter_.step(last).position, last)
    filter_.limit_speed(0.1)
    filter_.stand()
    moves = np.diff([filter_.step(np.array([0.9])).position for _ in range(40)], axis=0)
    assert moves[-1] == pytest.approx(0.1 * filter_.max_move), "it stood: nothing is forgotten"


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_speed_is_limited_and_set_free_again_without_a_jump(seed):
    filter_, rng = panda(), np.random.default_rng(seed)
    limits = panda()
    before = two_before = filter_.lower + rng.random(7) * (filter_.upper - filter_.lower)
    filter_.reset(before)
    share = 1.0
    for k in range(600):
        if k % 100 == 0:
            share = rng.choice([1.0, 0.3, 0.05])
            filter_.limit_speed(share)
        if k % 25 == 0:
            target = filter_.lower - 0.5 + rng.random(7) * (filter_.upper - filter_.lower + 1.0)
        position = filter_.step(target).position if k % 7 else filter_.brake().position
        assert_within(limits, position, before, two_before)
        if k % 100 == 99:
            assert (np.abs(position - before) <= share * limits.max_move + TOLERANCE).all()
        before, two_before = position, before


def test_a_slowed_arm_stays_on_the_straight_way_of_its_target():
    filter_ = panda()
    begin = (filter_.lower + filter_.upper) / 2.0
    way = np.array([1.0, -0.5, 0.25, 0.5, 0.0, -0.75, 0.1])
    filter_.reset(begin)
    filter_.limit_speed(0.1)
    for k in range(1, 200):
        position = filter_.step(begin + min(1.0, k / 100) * way).position
        done = (position - begin) @ way / (way @ way)
        np.testing.assert_allclose(position, begin + done * way, atol=TOLERANCE)
    assert 0.05 < done < 0.6
