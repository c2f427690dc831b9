"""Jerk-limited commands: the limits of their differences, the way they take, and how they stop."""

import sys

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vdd_ros import hostile
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.jerk_limits import _stoppable
from vdd_ros.jerk_plans import FastestStop, FastestWay, State
from vdd_ros.safety import NO_RUCKIG, SafetyFilter, safe_commands
from vdd_ros.step_limits import TOLERANCE, StepLimits

HOME = np.array([0.0, 0.35, 0.0, -2.2, 0.0, 2.55, 0.8])
seeds = st.integers(0, 2**63)


def panda(contract, control_hz: float, jerk: float) -> Contract:
    """The Panda with one limit of jerk for all joints [rad/s^3]."""
    raw = contract.to_dict()
    raw["rates"]["control_hz"] = control_hz
    for joint in raw["joints"]:
        joint["jerk"] = jerk
    return Contract.from_dict(raw)


@pytest.fixture(params=["published", "gentle"])
def robot(request, contract, contract_path) -> Contract:
    if request.param == "gentle":
        return panda(contract, 100.0, 300.0)
    return Contract.from_yaml(contract_path.with_name("panda_jerk.yaml"))


def some_state(contract: Contract, rng: np.random.Generator) -> State:
    """Any that keeps the limits, also a moment later: v + a |a| / 2 j within them too."""
    v, a, j = map(contract.limit, ("velocity", "acceleration", "jerk"))
    acceleration = rng.uniform(-1, 1, v.size) * np.minimum(a, np.sqrt(j * v))
    sooner = acceleration * np.abs(acceleration) / (2 * j)
    low, high = -v - np.minimum(sooner, 0), v - np.maximum(sooner, 0)
    return State(np.zeros_like(v), rng.uniform(low, high), acceleration)


@settings(max_examples=100, deadline=None)
@given(seed=seeds)
def test_a_stop_visits_nothing_beyond_its_extremes_and_keeps_all_limits(seed):
    rng = np.random.default_rng(seed)
    contract = hostile.robot(rng, jerk=True, joints=3)
    v, a, j = map(contract.limit, ("velocity", "acceleration", "jerk"))
    stop, state = FastestStop(contract), some_state(contract, rng)
    assert stop.find(state)
    end_s = next(t for t in np.geomspace(1e-3, 1e4, 2000) if stop.is_over(t))
    states = [stop.at(t) for t in np.linspace(0.0, end_s, 2000)]
    positions, velocities, accelerations = map(np.array, zip(*states, strict=True))
    extremes = stop.extremes()
    assert (positions >= extremes.min(0) - 1e-9).all()
    assert (positions <= extremes.max(0) + 1e-9).all()
    assert (np.abs(velocities).max(0) <= stop.fastest() + 1e-9).all()
    # they are reached, as near as 2000 samples come
    fine = np.abs(velocities).max(0) * end_s / 2000 + 1e-9
    assert (np.abs(positions.max(0) - extremes.max(0)) <= fine).all()
    assert (np.abs(positions.min(0) - extremes.min(0)) <= fine).all()
    assert (np.abs(velocities) <= v + 1e-9).all() and (np.abs(accelerations) <= a + 1e-9).all()
    changes = np.abs(np.diff(accelerations, axis=0))[:-1]  # the last one ends exactly at rest
    assert (changes <= j * end_s / 1999 + 1e-6 * a).all()
    np.testing.assert_array_equal(states[-1][1:], np.zeros((2, 3)))


@settings(max_examples=100, deadline=None)
@given(seed=seeds)
def test_a_target_is_met_at_the_largest_velocity_that_can_still_be_stopped(seed):
    rng = np.random.default_rng(seed)
    contract = hostile.robot(rng, jerk=True, joints=3)
    room = 10.0 ** rng.uniform(-6, 0, 3)
    velocity = _stoppable(room, contract.limit("acceleration"), contract.limit("jerk"))
    stop = FastestStop(contract)
    assert stop.find(State(np.zeros(3), velocity, np.zeros(3)))
    np.testing.assert_allclose(stop.extremes().max(0), room, rtol=1e-9)


@settings(max_examples=100, deadline=None)
@given(seed=seeds)
@example(seed=15725)
def test_differences_of_samples_are_within_the_limits_of_derivatives(seed):
    """A motion with a continuous acceleration and a bounded jerk, through changes of plan."""
    rng = np.random.default_rng(seed)
    contract = hostile.robot(rng, jerk=True, joints=2)
    way, state, path = FastestWay(contract), State.at_rest(np.zeros(2)), [np.zeros(2)] * 3
    for k in range(60):
        if k % 7 == 0:
            target = rng.uniform(-1, 1, 2)
        state = way.step(state, State.at_rest(target))
        if state is None:  # ruckig knows no way, about once in 10,000; the filter then takes a stop
            break
        path.append(state.position)
    dt = 1.0 / contract.rates.control_hz
    for order, name in enumerate(("velocity", "acceleration", "jerk"), 1):
        most = contract.limit(name) * dt**order
        assert (np.abs(np.diff(path, order, axis=0)) <= most + TOLERANCE).all(), name


@pytest.mark.parametrize("other", [0.0, 0.3], ids=["on a line", "each joint for itself"])
@pytest.mark.parametrize("going", [0.4, -0.4])
@pytest.mark.parametrize("side", [1.0, -1.0])
def test_a_target_that_moves_is_gone_for_at_the_limits_and_not_beyond(contract, side, going, other):
    """Of the joint itself, not of how it is seen from the target; going: the target's share of the
    speed limit, other: the same of a second joint, which nothing else has to wait for."""
    contract = panda(contract, 100.0, 3000.0)
    v, a, dt = contract.limit("velocity"), contract.limit("acceleration"), 0.01
    velocity = np.zeros(7)
    velocity[0], velocity[3] = going * v[0], other * v[3]
    way, target = FastestWay(contract), State.at_rest(np.eye(7)[0] * side * 3.0 * v[0])
    state, states = State.at_rest(np.zeros(7)), []
    for k in range(1, 600):
        moved = target.position + k * dt * velocity
        state = way.step(state, State(moved, velocity, np.zeros(7)))
        assert state is not None
        states.append(state)
    positions, velocities, accelerations = map(np.array, zip(*states, strict=True))
    np.testing.assert_allclose(positions[-1], moved, atol=1e-9)
    assert (np.abs(velocities) <= v * (1 + 1e-9)).all()
    assert (np.abs(accelerations) <= a * (1 + 1e-9)).all()
    np.testing.assert_allclose((side * velocities[:, 0]).max(), v[0], rtol=1e-6)
    np.testing.assert_allclose((side * accelerations[:, 0]).max(), a[0], rtol=1e-6)
    np.testing.assert_allclose((side * accelerations[:, 0]).min(), -a[0], rtol=1e-6)


def test_joints_that_start_together_arrive_together_on_a_line_without_overshoot(robot):
    way = np.array([0.4, -0.2, 0.05, 0.6, 0.01, -0.3, 0.0])
    ticks = round(1.2 * robot.rates.control_hz)
    done = safe_commands(robot, HOME, [HOME + way] * ticks) - HOME
    np.testing.assert_allclose(done[-1], way, atol=1e-15)
    share = done[:, 3] / way[3]
    np.testing.assert_allclose(done, share[:, None] * way, atol=TOLERANCE)
    assert (np.diff(share) >= -TOLERANCE).all() and share.max() <= 1.0 + TOLERANCE
    # as fast as the limits allow: 0.6 rad at 10 rad/s^2 takes 2 sqrt(.06) s, jerk a little more
    arrived_s = np.argmax(share > 1.0 - 1e-9) / robot.rates.control_hz
    assert arrived_s < 2 * np.sqrt(0.06) + 3 * 10.0 / robot.limit("jerk").min()


def test_a_change_of_direction_stays_in_the_plane_of_the_old_and_the_new_one(robot):
    dt = 1.0 / robot.rates.control_hz
    old = np.array([0.4, -0.3, 0.1, 0.8, 0.0, -0.2, 0.1]) * dt
    new = np.array([-0.3, -0.5, 0.2, -0.9, 0.1, 0.4, 0.0]) * dt
    n = round(0.4 / dt)
    corner = HOME + n * old
    targets = [HOME + k * old for k in range(1, n + 1)] + [corner + k * new for k in range(1, n)]
    offsets = safe_commands(robot, HOME, targets)[n:] - corner
    plane = np.linalg.qr(np.column_stack([old, new]))[0]
    np.testing.assert_allclose(offsets, offsets @ plane @ plane.T, atol=TOLERANCE)


@pytest.mark.parametrize("jerk", [7500.0, 300.0])
@pytest.mark.parametrize("turn", [3.0, 6.0])  # [rad/s]: a tenth, a half of the limit
def test_a_target_that_moves_within_the_limits_is_followed_without_lag(contract, jerk, turn):
    robot, dt = panda(contract, 1000.0, jerk), 1e-3
    swing = 0.13 * np.array([1, -0.5, 0.3, 0.8, 0.2, -0.6, 0.1])
    targets = HOME + swing * np.sin(turn * dt * np.arange(3000))[:, None]
    commands = safe_commands(robot, HOME, list(targets))
    assert np.abs(commands - targets)[1000:].max() < 1e-7


def test_a_target_near_the_limit_of_acceleration_is_followed_too(contract):
    robot, dt = panda(contract, 1000.0, 7500.0), 1e-3
    targets = HOME + 0.09 * np.sin(10.0 * dt * np.arange(3000))[:, None] * np.eye(7)[0]
    commands = safe_commands(robot, HOME, list(targets))
    assert np.abs(commands - targets)[1500:].max() < 1e-7


def test_a_target_at_constant_velocity_is_followed_exactly(robot):
    dt = 1.0 / robot.rates.control_hz
    targets = HOME + np.arange(round(1.0 / dt))[:, None] * np.linspace(-0.3, 0.3, 7) * dt
    commands = safe_commands(robot, HOME, list(targets))
    np.testing.assert_array_equal(commands[-10:], targets[-10:])


@settings(max_examples=40, deadline=None)
@given(seed=seeds)
def test_whatever_was_asked_a_standing_target_is_reached_afterwards(seed):
    rng = np.random.default_rng(seed)
    raw = hostile.robot(rng, jerk=True, joints=2).to_dict()
    for joint in raw["joints"]:  # quick enough to be waited for
        joint |= {"velocity": 2.0, "acceleration": 20.0, "jerk": float(rng.choice([200, 5000]))}
    raw["rates"]["control_hz"] = 100.0
    contract = Contract.from_dict(raw)
    limits = StepLimits.of(contract)
    start = hostile.start(rng, limits)
    asked = hostile.invented(rng, limits, start, 60)
    goal = limits.lower + rng.random(2) * (limits.upper - limits.lower)
    commands = safe_commands(contract, start, [*asked, *[goal] * 600])
    assert np.abs(commands[-1] - goal).max() <= 2e-9


def test_a_stop_in_motion_is_as_fast_as_the_limits_allow(robot):
    limits, dt = SafetyFilter(robot), 1.0 / robot.rates.control_hz
    limits.reset(HOME)
    for _ in range(round(0.15 / dt)):
        limits.step(HOME + 0.5)
    v = 0.15 * 10.0
    most_s = v / 7.5 + 3 * 10.0 / robot.limit("jerk").min() + 3 * dt
    ticks = 0
    while not limits.at_rest:
        limits.brake()
        ticks += 1
        assert ticks * dt <= most_s


def test_a_refused_target_brakes_and_an_arm_outside_its_limits_only_comes_back(robot):
    limits = SafetyFilter(robot)
    outside = limits.upper + 0.04
    limits.reset(outside)
    assert limits.at_rest
    positions = [outside]
    for _ in range(round(0.3 * robot.rates.control_hz)):
        positions.append(limits.step(outside + 1.0).position)
    assert (np.diff(positions, axis=0) <= TOLERANCE).all()
    np.testing.assert_allclose(positions[-1], limits.upper, atol=2e-9)
    assert limits.step(np.full(7, np.nan)).refused == "not_finite"
    assert limits.step(np.zeros(6)).refused == "wrong_size"


def test_limits_that_shaped_a_command_are_named(robot):
    limits = SafetyFilter(robot)
    limits.reset(HOME)
    assert limits.holds == "position velocity acceleration jerk" and limits.lacking is None
    assert {"velocity", "acceleration", "jerk"} <= set(limits.step(HOME + 0.5).limited)


def test_without_ruckig_the_other_limits_hold_and_it_is_said(robot, monkeypatch):
    plain = robot.to_dict()
    for joint in plain["joints"]:
        del joint["jerk"]
    targets = [HOME + 0.3] * 50
    expected = safe_commands(Contract.from_dict(plain), HOME, targets)
    monkeypatch.setitem(sys.modules, "ruckig", None)
    limits = SafetyFilter(robot)
    assert limits.lacking == NO_RUCKIG and limits.holds == "position velocity acceleration"
    limits.reset(HOME)
    assert limits.step(HOME + 0.3).limited == ("velocity", "acceleration"), "no word of jerk"
    np.testing.assert_array_equal(safe_commands(robot, HOME, targets), expected)


def test_jerk_is_limited_for_all_joints_or_for_none(robot):
    raw = robot.to_dict()
    del raw["joints"][2]["jerk"]
    with pytest.raises(UserError, match="for every joint or for none; panda_joint3 has none"):
        Contract.from_dict(raw)


def test_a_contract_without_limits_of_jerk_has_the_hashes_it_had(contract, robot):
    assert "jerk" not in str(contract.to_dict())
    assert robot.contract_hash != contract.contract_hash
    assert robot.interface_hash == contract.interface_hash


def test_slowed_it_goes_at_a_share_of_its_speed_and_breaks_no_limit_on_the_way_there(robot):
    """From full speed towards a target far away, and back to full speed."""
    limits = SafetyFilter(robot)
    begin = robot.limit("lower") + 0.1
    far = robot.limit("upper") - 0.1
    limits.reset(begin)
    dt = 1.0 / robot.rates.control_hz
    sent, shares = [], []
    for k in range(round(4.0 / dt)):
        if k * dt in (0.5, 2.5):
            limits.limit_speed(0.1 if k * dt == 0.5 else 1.0)
        sent.append(limits.step(far).position)
        moves = np.abs(np.diff([begin, *sent[-2:]], axis=0))[-1]
        shares.append((moves / (robot.limit("velocity") * dt)).max())
    excess = StepLimits.of(robot).excess(begin, np.array(sent))
    assert max(excess.values()) <= TOLERANCE, excess
    assert max(shares[: round(0.5 / dt)]) > 0.5, "it was fast before"
    slowed = shares[round(1.5 / dt) : round(2.5 / dt)]
    assert max(slowed) <= 0.1 + 1e-9 and min(slowed) > 0.09
    assert max(shares[round(2.5 / dt) :]) > 0.5, "and it is fast again"
