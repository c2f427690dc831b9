"""The way home: within its share of the limits, straight, and at its end exactly there."""

import numpy as np
import pytest

from vdd_ros.action_loop import ActionLoop
from vdd_ros.command_gate import StopReason
from vdd_ros.errors import UserError
from vdd_ros.homing import RULE, Homing, homing_contract, require_pose

HOME = np.array([0.0, 0.0, 0.0, -1.5, 0.0, 1.5, 0.0])
AWAY = HOME + np.array([0.6, -0.3, 0.2, 0.4, -0.8, 0.1, 0.0])
TICK = 10_000_000


def journey(contract, begin, goal, share):
    """(N, Da) commands until it has arrived; the arm is where it was last sent."""
    contract = homing_contract(contract)
    homing = Homing(contract, goal, share)
    loop = ActionLoop(contract, homing, RULE, np.random.default_rng(0))
    arm, now_ns, sent = begin, 10**9, []
    loop.start(now_ns)
    while not homing.arrived:
        loop.add("joint_state", {"position": arm}, now_ns, now_ns)
        output = loop.tick(now_ns).output
        assert loop.reason is None and output is not None and output.limited == ()
        sent.append(output.position)
        arm, now_ns = output.position, now_ns + TICK
        assert len(sent) < 5000
    return np.array(sent)


@pytest.mark.parametrize("share", [0.05, 0.2, 1.0])
def test_it_ends_at_home_within_its_share_of_the_limits(contract, share):
    sent = journey(contract, AWAY, HOME, share)
    np.testing.assert_allclose(sent[-1], HOME, atol=1e-9)
    moves = np.diff(np.vstack([AWAY, sent]), axis=0)
    largest = np.abs(moves).max(0) / (0.01 * share * contract.limit("velocity"))
    change = np.abs(np.diff(moves, axis=0)).max(0)
    quickest = change / (1e-4 * share * contract.limit("acceleration"))
    assert largest.max() <= 1.0 + 1e-9
    assert quickest.max() <= 1.02, "it takes up the way a tick late"
    assert max(largest.max(), quickest.max()) > 0.9, "no slower than it has to be"


def test_it_is_straight_and_never_turns_back(contract):
    sent = journey(contract, AWAY, HOME, 0.2)
    way = (sent - AWAY) / np.where(HOME == AWAY, 1.0, HOME - AWAY)
    done = way[:, 0]
    assert (np.diff(done) >= -1e-12).all()
    for joint in np.flatnonzero(HOME != AWAY):
        np.testing.assert_allclose(way[:, joint], done, atol=1e-9)


def test_who_is_at_home_stays_there(contract):
    sent = journey(contract, HOME, HOME, 0.2)
    np.testing.assert_array_equal(sent, np.tile(HOME, (len(sent), 1)))


def test_an_arm_that_does_not_move_is_not_pushed_on(contract):
    contract = homing_contract(contract)
    loop = ActionLoop(contract, Homing(contract, HOME, 1.0), RULE, np.random.default_rng(0))
    loop.start(10**9)
    for now_ns in range(10**9, 6 * 10**9, TICK):
        loop.add("joint_state", {"position": AWAY}, now_ns, now_ns)
        loop.tick(now_ns)
    assert loop.reason is StopReason.NOT_FOLLOWING


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0 0 0", "write 7 numbers"),
        ("0 0 0 -1.5 0 1.5 up", "write 7 numbers"),
        ("0 0 0 -1.5 0 1.5 nan", "write 7 numbers"),
        ("9 0 0 -1.5 0 1.5 0", "9 rad for panda_joint1; its limits are -2.8973"),
    ],
)
def test_what_is_no_pose_is_refused(contract, text, said):
    with pytest.raises(UserError, match=said):
        require_pose(text, contract)
    np.testing.assert_array_equal(require_pose("0 0 0 -1.5 0 1.5 0", contract), HOME)
