"""Deadband, twists and the joints that follow them, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm
from scipy.spatial.transform import Rotation
from two_arms import CONFIG, HOME, arm_with_gripper, one_arm, two_arms

from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.kinematics import Kinematics
from vdd_ros.teleop.cartesian import JOINT_SPEED, LEAD_M, Cartesian, read_model
from vdd_ros.teleop.device import TwistDevice
from vdd_ros.teleop.jog import Jog
from vdd_ros.teleop.reading import Reading
from vdd_ros.teleop.shaping import (
    beyond_deadband,
    hastened,
    moved_by,
    slowed,
    turned,
)
from vdd_ros.teleop.twists import Twists

CONTRACT = one_arm("tool_pose")
RATE_HZ = CONTRACT.streams["teleop_command"].rate_hz
DT = 1.0 / RATE_HZ
VELOCITY = CONTRACT.limit("velocity")
START = np.array(HOME)
AT_REST = Reading(np.zeros(6))


@pytest.fixture(scope="module")
def kinematics() -> Kinematics:
    return Kinematics(CONTRACT)


@pytest.fixture(scope="module")
def motion() -> Cartesian:
    return Cartesian(CONTRACT, None, RATE_HZ)


@given(st.floats(-1.5, 1.5), st.floats(0.0, 0.9))
def test_a_deadband_is_odd_even_and_without_a_jump(value, deadband):
    shaped = beyond_deadband(np.array([value, -value, value + 1e-6]), deadband)
    assert shaped[0] == -shaped[1]
    assert abs(shaped[2] - shaped[0]) <= 1e-6 / (1.0 - deadband) + 1e-12
    assert abs(shaped[0]) <= 1.0
    assert (shaped[0] == 0.0) or abs(value) > deadband


def test_a_deadband_begins_at_zero_and_ends_at_one():
    values = np.array([0.0, 0.1, 0.55, 1.0, 2.0, -1.0])
    np.testing.assert_allclose(beyond_deadband(values, 0.1), [0, 0, 0.5, 1, 1, -1], atol=1e-12)


def test_a_fast_twist_is_slowed_in_its_direction():
    twist = np.array([3.0, 0.0, 4.0, 0.0, 0.1, 0.0])
    np.testing.assert_allclose(slowed(twist, 0.5, 1.0), twist / 10.0)
    np.testing.assert_allclose(slowed(twist, 50.0, 0.05), twist / 2.0)
    np.testing.assert_array_equal(slowed(twist * 0.01, 0.5, 1.0), twist * 0.01)


vectors = st.lists(st.floats(-2.0, 2.0), min_size=3, max_size=3).map(np.array)


@given(vectors)
def test_a_rotation_of_its_vector(vector):
    expected = Rotation.from_rotvec(vector).as_matrix()
    np.testing.assert_allclose(turned(vector), expected, atol=1e-12)


@given(vectors, vectors, vectors, st.floats(0.0, 1.0))
def test_a_step_of_a_twist_is_the_exponential_of_the_matrix(position, turn, linear, dt):
    rotation, angular = Rotation.from_rotvec(turn).as_matrix(), turn[::-1]
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, position
    x, y, z = angular
    screw = np.zeros((4, 4))
    screw[:3, :3] = [[0, -z, y], [z, 0, -x], [-y, x, 0]]
    screw[:3, 3] = linear
    expected = pose @ expm(screw * dt)
    twist = np.concatenate([linear, angular])
    found = moved_by(position, rotation, twist, dt, in_tool=True)
    np.testing.assert_allclose(found[0], expected[:3, 3], atol=1e-9)
    np.testing.assert_allclose(found[1], expected[:3, :3], atol=1e-9)
    place, about = moved_by(position, rotation, twist, dt, in_tool=False)
    np.testing.assert_allclose(place, position + linear * dt, atol=1e-12)
    np.testing.assert_allclose(about, expm(screw[:3, :3] * dt) @ rotation, atol=1e-9)


def moved(motion: Cartesian, twists, start=START, in_tool=False) -> np.ndarray:
    """(T + 1, Da) targets from `start` on, a period after each twist."""
    targets = [np.asarray(start, dtype=float)]
    motion.begin(targets[0], AT_REST)
    for twist in twists:
        reading = Reading(np.asarray(twist, dtype=float), in_tool=in_tool)
        targets.append(motion.step(targets[-1], reading, DT))
    return np.array(targets)


def assert_bounded(targets: np.ndarray, contract: Contract = CONTRACT) -> None:
    assert (np.abs(np.diff(targets, axis=0)) <= contract.limit("velocity") * DT + 1e-9).all()
    assert not contract.beyond(targets).any() and np.isfinite(targets).all()


@pytest.mark.parametrize("in_tool", [False, True])
@pytest.mark.parametrize(
    "twist",
    [
        (0.1, 0, 0, 0, 0, 0),
        (0, -0.1, 0.05, 0, 0, 0),
        (0, 0, 0, 0.2, 0, 0.3),
        (0.05, 0.05, 0, 0, 0.2, 0.3),
    ],
)
def test_the_tool_moves_by_the_integral_of_the_twist(motion, kinematics, twist, in_tool):
    """One second at a constant twist, and rest, which is a second's way however smoothly it begins
    and ends; against the exponential: half a millimetre, 0.05 degrees."""
    targets = moved(motion, [twist] * 100 + [np.zeros(6)] * 30, in_tool=in_tool)
    np.testing.assert_array_equal(targets[-1], targets[-5])
    assert_bounded(targets)
    poses = kinematics.forward(targets[[0, -1]])
    place, about = poses.positions[:, 0], poses.rotations[:, 0]
    expected = moved_by(place[0], about[0], np.array(twist), 1.0, in_tool)
    np.testing.assert_allclose(place[1], expected[0], atol=5e-4)
    assert Rotation.from_matrix(about[1].T @ expected[1]).magnitude() < 1e-3


def test_there_and_back_is_where_it_began(motion, kinematics):
    phase = np.linspace(0.0, 2.0 * np.pi, 200, endpoint=False)
    zero = np.zeros_like(phase)
    rates = [np.sin(phase), np.sin(2 * phase), zero, zero, 0.5 * np.sin(phase), zero]
    targets = moved(motion, [*(0.1 * np.stack(rates, 1)), *np.zeros((30, 6))])
    assert_bounded(targets)
    place = kinematics.forward(targets).positions[:, 0]
    assert np.ptp(place, axis=0)[:2].min() > 0.03
    np.testing.assert_allclose(place[-1], place[0], atol=5e-4)


def test_at_rest_nothing_moves_not_even_the_elbow(motion):
    bent = START + [0.3, 0.1, -0.4, 0.2, 0.3, -0.2, 0.5]
    np.testing.assert_array_equal(moved(motion, np.zeros((50, 6)), bent), np.tile(bent, (51, 1)))


@pytest.mark.parametrize(
    "way", [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, -1), (1, 1, 0.5)]
)
def test_at_the_end_of_reach_it_stays_bounded_and_comes_back_at_once(motion, kinematics, way):
    """Towards a singularity or a limit for longer than there is way, then the other way."""
    twist = np.array([*(0.25 * np.array(way) / np.linalg.norm(way)), 0, 0, 0])
    targets = moved(motion, [twist] * 300 + [-twist] * 30)
    assert_bounded(targets)
    moves = np.diff(targets, axis=0)
    assert np.abs(moves / (VELOCITY * DT)).max() <= JOINT_SPEED + 1e-9
    turned_back = moves[261:299] * moves[260:298] < -(1e-3**2)
    assert turned_back.sum(0).max() <= 2, "no trembling"
    way = np.array(way) / np.linalg.norm(way)
    path = kinematics.forward(targets).positions[:, 0]
    along = (path - path[0]) @ way
    off = np.linalg.norm(path - path[0] - np.outer(along, way), axis=1)
    assert off.max() < LEAD_M, "on the line"
    assert along[300] - along[260] < 0.5 * 0.25 * 40 * DT, "it is at an end"
    assert along[300] - along[330] > 0.01, "and back at once"


@settings(max_examples=8, deadline=None)
@given(st.lists(st.lists(st.floats(-5.0, 5.0), min_size=6, max_size=6), min_size=3, max_size=8))
def test_whatever_twists_come_joints_stay_bounded(motion, twists):
    assert_bounded(moved(motion, np.repeat(twists, 12, axis=0)))


def test_a_model_beside_the_contract_is_the_contracts_own():
    """panda_tools.yaml with a contract of joint targets, against the contract of poses."""
    model = read_model(CONFIG / "kinematics" / "panda_tools.yaml")
    twists = [(0.1, 0.02, -0.05, 0.1, 0, 0.2)] * 60
    plain = moved(Cartesian(one_arm("absolute_position"), model, RATE_HZ), twists)
    own = moved(Cartesian(CONTRACT, None, RATE_HZ), twists)
    np.testing.assert_allclose(plain, own, atol=1e-9)


def test_a_gripper_and_the_other_arm_stay():
    contract = arm_with_gripper("tool_pose")
    ahead = [(0.1, 0, 0, 0, 0, 0)] * 30
    found = moved(Cartesian(contract, None, RATE_HZ), ahead, np.insert(START, 3, 0.7))
    assert (found[:, 3] == 0.7).all() and np.abs(found[-1] - found[0]).max() > 0.02
    both = two_arms("tool_pose")  # the right one is the tool of its frames
    start = np.tile(np.append(START, 0.5), 2)
    found = moved(Cartesian(both, None, RATE_HZ), ahead, start)
    np.testing.assert_allclose(found[:, :8], np.tile(start[:8], (31, 1)), atol=1e-4)
    assert np.abs(found[-1] - found[0])[8:].max() > 0.02


def test_a_jog_is_the_integral_of_its_velocities_within_limits():
    contract = one_arm("absolute_position")
    jog, q = Jog(contract), START
    velocity = np.array([0.1, 0, -0.2, 0, 0, 0.3, 0])
    for _ in range(50):
        q = jog.step(q, Reading(velocity), DT)
    for _ in range(20):
        q = jog.rest(q, DT)
    np.testing.assert_allclose(q, START + velocity * 0.5)
    jog.begin(q, Reading(np.zeros(7)))
    for _ in range(500):
        before, q = q, jog.step(q, Reading(np.full(7, 99.0)), DT)
        assert (q - before <= VELOCITY * DT + 1e-12).all()
    np.testing.assert_array_equal(q, contract.limit("upper"))
    outside = contract.limit("upper") + 0.02
    jog.begin(outside, Reading(np.zeros(7)))
    np.testing.assert_array_equal(jog.step(outside, Reading(np.zeros(7)), DT), outside)


def test_a_twist_changes_straight_and_no_faster_than_it_may():
    wish = np.array([0.3, 0.0, 0.4, 0.0, 1.0, 0.0])
    np.testing.assert_allclose(hastened(np.zeros(6), wish, 0.1, 9.0), wish * 0.2)
    np.testing.assert_allclose(hastened(np.zeros(6), wish, 9.0, 0.1), wish * 0.1)
    np.testing.assert_array_equal(hastened(wish * 0.9, wish, 0.1, 0.2), wish)


TWIST = TwistDevice(format_version=1, source="twist", topic="t")


def test_a_twist_is_told_in_the_base_or_the_tool():
    twists = Twists(TWIST, CONTRACT)
    base = twists.read("panda_link0", (0.1, 0, 0), (0, 0, 0.2))
    tool = twists.read("panda_rod_tip", (0.1, 0, 0), (0, 0, 0.2))
    assert not base.in_tool and tool.in_tool
    np.testing.assert_array_equal(base.wish, [0.1, 0, 0, 0, 0, 0.2])
    fast = twists.read("panda_link0", (9, 9, 9), (0, 0, 0))
    assert np.linalg.norm(fast.wish) == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("frame", "linear", "said"),
    [
        ("world", (0, 0, 0), "is in frame 'world'; tell it in panda_link0 or panda_rod_tip"),
        ("", (0, 0, 0), "is in frame ''"),
        ("panda_link0", (0, np.nan, 0), "not finite"),
    ],
)
def test_another_twist_is_refused(frame, linear, said):
    with pytest.raises(UserError, match=said):
        Twists(TWIST, CONTRACT).read(frame, linear, (0, 0, 0))
