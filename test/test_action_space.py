"""Every meaning of an action: closed forms, and there and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from two_arms import CARTESIAN, HOME, MEANINGS, arm_with_gripper, one_arm, two_arms

from vdd_ros.action_space import SPACES, action_space, seconds_to_decode
from vdd_ros.rotations import DegenerateRotation, rotation_of

H = 8
MAKERS = (one_arm, arm_with_gripper, two_arms)
rng_seeds = st.integers(0, 2**32)


def home_of(contract) -> np.ndarray:
    return np.array(
        [0.5 if one.unit == "fraction" else HOME[int(one.name[-1]) - 1] for one in contract.joints]
    )


def motion(contract, rng, steps=H) -> tuple[np.ndarray, np.ndarray]:
    """Joint targets (T, Da) as a recording has them, smooth and at up to .3 of the velocity limits,
    and an anchor from which they begin with a lag."""
    span, speed = contract.span, 0.3 * contract.limit("velocity")
    begin = home_of(contract) + 0.05 * rng.uniform(-1, 1, span.size) * span
    times = np.arange(-1, steps)[:, None] / contract.rates.policy_hz
    pace = rng.uniform(1.0, 3.0, span.size)  # [rad/s]
    path = begin + speed / pace * np.sin(pace * times)
    path = np.clip(path, contract.limit("lower"), contract.limit("upper"))
    return path[1:], path[0] + 0.005 * rng.standard_normal(span.size)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("meaning", MEANINGS)
def test_an_action_has_as_many_numbers_as_the_contract_says(meaning, make):
    contract = make(meaning)
    targets, anchor = motion(contract, np.random.default_rng(0))
    space = action_space(contract)
    actions = space.encode(targets, anchor)
    assert actions.shape == (H, contract.action_dim)
    assert space.decode(actions, anchor).shape == (H, contract.n_joints)
    expected = {one_arm: 9, arm_with_gripper: 10, two_arms: 20}[make]
    assert contract.action_dim == (expected if meaning in CARTESIAN else contract.n_joints)
    assert (seconds_to_decode(contract, space, 2) > 0.0) is (meaning in CARTESIAN)


def test_every_meaning_that_a_contract_may_have_is_offered():
    assert tuple(SPACES) == MEANINGS


def test_absolute_positions_are_not_touched():
    targets = np.ones((H, 7))
    space = action_space(one_arm("absolute_position"))
    assert space.encode(targets, np.zeros(0)) is targets
    assert space.decode(targets, np.zeros(0)) is targets


@settings(deadline=None)
@given(seed=rng_seeds)
def test_relative_positions_are_offsets_from_one_anchor(seed):
    contract = arm_with_gripper("relative_position")
    targets, anchor = motion(contract, np.random.default_rng(seed))
    space = action_space(contract)
    actions = space.encode(targets, anchor)
    arm = np.array(contract.joint_names) != "gripper"
    for step in range(H):
        np.testing.assert_allclose(actions[step, arm], (targets[step] - anchor)[arm])
        np.testing.assert_array_equal(actions[step, ~arm], targets[step, ~arm])
    np.testing.assert_allclose(space.decode(actions, anchor), targets, atol=1e-12)


@settings(deadline=None)
@given(seed=rng_seeds)
def test_velocities_are_added_up_from_the_anchor(seed):
    contract = arm_with_gripper("velocity")
    rng = np.random.default_rng(seed)
    targets, anchor = motion(contract, rng)
    space = action_space(contract)
    arm = np.array(contract.joint_names) != "gripper"
    actions = space.encode(targets, anchor)
    np.testing.assert_allclose(actions[0, arm], (targets[0] - anchor)[arm] / 0.1, atol=1e-12)
    np.testing.assert_allclose(actions[3, arm], (targets[3] - targets[2])[arm] / 0.1, atol=1e-12)
    np.testing.assert_array_equal(actions[:, ~arm], targets[:, ~arm])
    np.testing.assert_allclose(space.decode(actions, anchor), targets, atol=1e-12)
    constant = np.full((H, 8), 0.5)
    found = space.decode(constant, anchor)
    # after h + 1 periods of 0.1 s at 0.5 rad/s
    expected = anchor + 0.05 * np.arange(1, H + 1)[:, None]
    np.testing.assert_allclose(found[:, arm], expected[:, arm], atol=1e-12)
    np.testing.assert_array_equal(found[:, ~arm], 0.5)


def assert_same_poses(space, found, targets):
    """Within 1 mm and half a degree."""
    got, wanted = (space.kinematics.forward(joints) for joints in (found, targets))
    assert np.linalg.norm(got.positions - wanted.positions, axis=-1).max() < 1e-3
    turns = np.swapaxes(got.rotations, -1, -2) @ wanted.rotations
    off = Rotation.from_matrix(turns.reshape(-1, 3, 3)).magnitude()
    assert np.degrees(off.max()) < 0.5


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("meaning", CARTESIAN)
def test_poses_become_joints_that_have_these_poses(meaning, make):
    contract = make(meaning)
    space = action_space(contract)
    reach = contract.limit("velocity") / contract.rates.policy_hz
    beside = [contract.joint_names.index(name) for name in contract.joints_beside_tools]
    for seed in range(12 if make is one_arm else 5):
        targets, anchor = motion(contract, np.random.default_rng(seed))
        found = space.decode(space.encode(targets, anchor), anchor)
        assert_same_poses(space, found, targets)
        np.testing.assert_array_equal(found[:, beside], targets[:, beside])
        assert not contract.beyond(found).any()
        moves = np.abs(np.diff(found, axis=0, prepend=anchor[None]))
        moves[:, beside] = 0.0
        assert (moves <= reach + 1e-9).all()


def test_a_pose_is_that_of_the_tool_in_the_base_frame():
    """Against the second arm's, which is the first one's from the other side of the torso."""
    single, double = one_arm("tool_pose"), two_arms("tool_pose")
    targets, anchor = motion(single, np.random.default_rng(3))
    alone = action_space(single).encode(targets, anchor)
    both = np.tile(home_of(double), (H, 1))
    both[:, 8:15] = targets  # the right arm's, whose tool comes first
    found = action_space(double).encode(both, both[0])
    base = Rotation.from_euler("x", 0.3)
    np.testing.assert_allclose(found[:, :3], base.apply(alone[:, :3]) + [0, -0.3, 0], atol=1e-9)
    turned = base.as_matrix() @ rotation_of(alone[:, 3:9])
    np.testing.assert_allclose(rotation_of(found[:, 3:9]), turned, atol=1e-9)
    assert np.ptp(found[:, 9:18], axis=0).max() < 1e-12, "the left arm stood still"
    np.testing.assert_array_equal(found[:, 18:], 0.5)


def test_a_relative_pose_is_seen_from_the_tool_at_the_anchor():
    contract = one_arm("relative_tool_pose")
    space = action_space(contract)
    targets, anchor = motion(contract, np.random.default_rng(4))
    stays = space.encode(np.tile(anchor, (2, 1)), anchor)
    np.testing.assert_allclose(stays, np.tile([0, 0, 0, 1, 0, 0, 0, 1, 0], (2, 1)), atol=1e-9)
    absolute = action_space(one_arm("tool_pose"))
    at, to = (absolute.encode(rows, anchor) for rows in (anchor[None], targets))
    back = rotation_of(at[:, 3:9]).swapaxes(-1, -2)
    found = space.encode(targets, anchor)
    offset = (back @ (to[:, :3] - at[:, :3])[..., None])[..., 0]
    np.testing.assert_allclose(found[:, :3], offset, atol=1e-9)
    np.testing.assert_allclose(
        rotation_of(found[:, 3:9]), back @ rotation_of(to[:, 3:9]), atol=1e-9
    )
    # the same movement of the hand, wherever the arm stands about the vertical
    turn = np.array([0.4, 0, 0, 0, 0, 0, 0])
    np.testing.assert_allclose(space.encode(targets + turn, anchor + turn), found, atol=1e-9)


@pytest.mark.parametrize("meaning", CARTESIAN)
def test_a_rotation_that_is_none_is_refused(meaning):
    contract = two_arms(meaning)
    space = action_space(contract)
    targets, anchor = motion(contract, np.random.default_rng(5))
    actions = space.encode(targets, anchor)
    actions[5, 12:15] = -2.0 * actions[5, 15:18]
    with pytest.raises(DegenerateRotation):
        space.decode(actions, anchor)
