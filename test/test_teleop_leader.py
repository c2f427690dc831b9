"""A leader arm: its joints to the follower's, take-up, following, clutch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from two_arms import HOME, arm_with_gripper

from vdd_ros.errors import UserError
from vdd_ros.teleop.device import LeaderDevice
from vdd_ros.teleop.following import Following
from vdd_ros.teleop.leader_map import LeaderMap
from vdd_ros.teleop.reading import Reading

CONTRACT = arm_with_gripper("absolute_position")  # the gripper is joint 3 of 8
ARM = [name for name in CONTRACT.joint_names if name != "gripper"]
VELOCITY, LOWER, UPPER = (CONTRACT.limit(name) for name in ("velocity", "lower", "upper"))
START = np.insert(np.array(HOME), 3, 0.5)
DT = 0.01
SPEED = 0.2


def leader(**changes) -> LeaderDevice:
    raw = {
        "format_version": 1,
        "source": "leader",
        "topic": "leader",
        "joints": {name: {"leader": f"lead_{name}"} for name in ARM},
        "held": ["gripper"],
    }
    return LeaderDevice.model_validate(raw | changes)


def with_gripper(**changes) -> LeaderDevice:
    joints = {name: {"leader": f"lead_{name}"} for name in ARM}
    joints["gripper"] = {"leader": "trigger", "span": [0.04, 0.0], "means": [0.0, 1.0]}
    return leader(joints=joints, held=[], **changes)


def test_signs_scales_offsets_and_ranges_are_those_declared():
    joints = {name: one.model_dump() for name, one in with_gripper().joints.items()}
    joints["panda_joint1"] |= {"sign": -1, "scale": 0.5, "offset": 0.25}
    reader = LeaderMap(leader(joints=joints, held=[]), CONTRACT)
    # in another order than the contract's, and in company
    told = {"trigger": 0.01, "wheel": 3.0} | {f"lead_{n}": i / 10 for i, n in enumerate(ARM)}
    told |= {"lead_panda_joint1": 0.8, "lead_panda_joint4": -1.3}
    names = sorted(told)
    read = reader.read(names, [told[name] for name in names])
    found = dict(zip(CONTRACT.joint_names, read, strict=True))
    assert found["panda_joint1"] == pytest.approx(-0.5 * 0.8 + 0.25)
    assert found["panda_joint4"] == -1.3
    assert found["panda_joint7"] == told["lead_panda_joint7"]
    assert found["gripper"] == pytest.approx(0.75)


@pytest.mark.parametrize(("value", "opening"), [(0.05, 0.0), (0.04, 0.0), (0.02, 0.5), (-1.0, 1.0)])
def test_a_range_ends_where_it_ends(value, opening):
    names = [*(f"lead_{name}" for name in ARM), "trigger"]
    found = LeaderMap(with_gripper(), CONTRACT).read(names, [*HOME, value])
    assert found[3] == pytest.approx(opening)


def test_what_the_device_holds_is_not_told():
    found = LeaderMap(leader(), CONTRACT).read([f"lead_{name}" for name in ARM], HOME)
    assert np.isnan(found[3]) and np.isfinite(np.delete(found, 3)).all()


NAMES = [f"lead_{name}" for name in ARM]
BROKEN = {
    "a joint is missing": (NAMES[1:], HOME[1:], r"lacks \['lead_panda_joint1'\]"),
    "a joint comes twice": ([*NAMES, NAMES[0]], [*HOME, 0.0], "more than once"),
    "a number is missing": (NAMES, HOME[1:], "7 names and 6 positions"),
    "not a number": (NAMES, [*HOME[:6], np.nan], "not finite"),
    "infinite": (NAMES, [np.inf, *HOME[1:]], "not finite"),
    "degrees": (NAMES, np.degrees(HOME), "is it in degrees"),
}


@pytest.mark.parametrize(("names", "positions", "said"), BROKEN.values(), ids=list(BROKEN))
def test_a_broken_message_is_refused_in_one_sentence(names, positions, said):
    with pytest.raises(UserError, match=said) as told:
        LeaderMap(leader(), CONTRACT).read(names, positions)
    assert "\n" not in str(told.value)


def led(motion: Following, positions, begin=START, dt=DT) -> np.ndarray:
    """(T + 1, Da) targets of a follower at `begin` after each position of the leader."""
    targets = [np.asarray(begin, dtype=float)]
    motion.begin(targets[0], Reading(np.asarray(positions[0], dtype=float)))
    for position in positions:
        targets.append(motion.step(targets[-1], Reading(np.asarray(position)), dt))
    return np.array(targets)


def test_a_leader_far_away_is_come_to_straight_and_slowly_and_then_followed():
    away = START + [1.0, -0.5, 0.3, 0.0, 0.2, 0.1, -0.4, 0.6]
    motion = Following(leader(take_up={"speed": SPEED}), CONTRACT)
    targets = led(motion, [away] * 600)
    there = int((np.abs(targets - away).max(1) <= 0.02).argmax())
    moves = np.abs(np.diff(targets, axis=0))
    assert (moves[:there] <= SPEED * VELOCITY * DT + 1e-12).all()
    np.testing.assert_array_equal(targets[-1], away)
    assert not motion.taking_up
    # straight: the same share of the way for every joint
    share = (targets - START)[:, 0] / 1.0
    np.testing.assert_allclose(targets, START + share[:, None] * (away - START), atol=1e-9)
    # and in the time that the slowest joint needs, to where it counts as there
    slowest = (np.abs(away - START) / VELOCITY).max() / SPEED
    assert there == pytest.approx(slowest * (1.0 - 0.02 / 1.0) / DT, abs=2)


def test_once_taken_up_a_leader_is_followed_at_once():
    motion = Following(leader(), CONTRACT)
    led(motion, [START])
    ways = np.array([1, 1, 1, 0, 1, 1, -1, 1]) * 0.8 * VELOCITY * 59 * DT
    fast = START + np.linspace(0.0, 1.0, 60)[:, None] * ways
    targets = [START]
    for position in fast:
        targets.append(motion.step(targets[-1], Reading(position), DT))
    np.testing.assert_allclose(targets[1:], fast, atol=1e-12)
    assert not motion.taking_up


def test_a_leader_that_leaps_is_taken_up_anew():
    motion = Following(leader(take_up={"speed": SPEED, "lost": 0.3}), CONTRACT)
    led(motion, [START])
    assert not motion.taking_up
    leapt = START + np.insert(np.full(7, 0.5), 3, 0.0)
    targets = [START, motion.step(START, Reading(leapt), DT)]
    assert motion.taking_up
    targets.append(motion.step(targets[-1], Reading(leapt), DT))
    assert (np.abs(targets[2] - targets[1]) <= SPEED * VELOCITY * DT + 1e-12).all()


def test_relative_following_moves_by_what_the_leader_moves_and_a_clutch_lets_it_be_put_elsewhere():
    device = with_gripper(follow="relative")
    motion = Following(device, CONTRACT)
    far = START + [0.9, -0.4, 0.5, 0.0, -0.2, 0.6, -0.7, 0.3]
    way = np.sin(np.linspace(0.0, np.pi, 200))[:, None] * np.insert(np.full(7, 0.2), 3, 0.0)
    targets = led(motion, far + way)
    np.testing.assert_allclose(targets[1:], START + way, atol=1e-12)
    # the leader is carried elsewhere while the clutch is open: the follower stays where it is
    held = targets[-1]
    elsewhere = far + np.where(np.arange(8) == 3, 0.0, -0.5)
    again = led(motion, [elsewhere] * 200, begin=held)
    np.testing.assert_allclose(again, np.tile(held, (201, 1)), atol=1e-15)


def test_a_gripper_is_where_the_leader_has_it_even_so():
    motion = Following(with_gripper(follow="relative", take_up={"speed": SPEED}), CONTRACT)
    grip = START + np.eye(8)[3] * 0.4
    targets = led(motion, [grip] * 200)
    far = grip[3] - targets[:-1, 3] > 0.04
    assert np.diff(targets[:, 3])[far].max() <= SPEED * VELOCITY[3] * DT + 1e-12
    assert not np.delete(targets - START, 3, axis=1).any()
    np.testing.assert_allclose(targets[-1], grip)


def test_a_joint_that_is_held_stays():
    motion = Following(leader(), CONTRACT)
    away = START + 0.1
    away[3] = np.nan
    targets = led(motion, [away] * 100)
    assert (targets[:, 3] == START[3]).all()
    np.testing.assert_allclose(np.delete(targets[-1], 3), np.delete(away, 3))


def test_play_swallows_a_trembling_hand_and_is_continuous():
    motion = Following(leader(play=0.01), CONTRACT)
    led(motion, [START])
    rng = np.random.default_rng(0)
    trembling = START + rng.uniform(-0.01, 0.01, (50, 8))
    still = [motion.step(START, Reading(one), DT) for one in trembling]
    arm = np.arange(8) != 3
    np.testing.assert_allclose(np.array(still)[:, arm], np.tile(START[arm], (50, 1)), atol=1e-12)
    slow = START + np.linspace(0.0, 0.1, 100)[:, None] * arm
    targets = [START]
    for position in slow:
        targets.append(motion.step(targets[-1], Reading(position), DT))
    np.testing.assert_allclose(targets[-1][arm], START[arm] + 0.09, atol=1e-9)
    assert np.abs(np.diff(targets, axis=0)).max() <= 0.1 / 99 + 1e-9


positions = st.lists(
    st.lists(st.floats(-10.0, 10.0), min_size=8, max_size=8), min_size=1, max_size=30
)


@settings(max_examples=60, deadline=None)
@given(positions, st.sampled_from(["absolute", "relative"]), st.floats(0.0, 0.05))
def test_whatever_a_leader_does_targets_never_jump_and_stay_within_the_limits(told, follow, play):
    motion = Following(with_gripper(follow=follow, play=play), CONTRACT)
    targets = led(motion, told)
    assert (np.abs(np.diff(targets, axis=0)) <= VELOCITY * DT + 1e-9).all()
    assert (np.abs(targets[1] - START) <= SPEED * VELOCITY * DT + 1e-9).all(), "taken up first"
    assert not CONTRACT.beyond(targets).any()
