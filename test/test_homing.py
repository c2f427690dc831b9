"""The way home: within its share of the limits, straight, and at its end exactly there."""

import numpy as np
import pytest

from vdd_ros.command_gate import StopReason
from vdd_ros.errors import UserError
from vdd_ros.homing import HELD_S, homing_contract, require_pose, way_home

HOME = np.array([0.0, 0.0, 0.0, -1.5, 0.0, 1.5, 0.0])
AWAY = HOME + np.array([0.6, -0.3, 0.2, 0.4, -0.8, 0.1, 0.0])
TICK = 10_000_000


def journey(contract, begin, goal, share):
    """(N, Da) commands until it has arrived; the arm is where it was last sent."""
    contract = homing_contract(contract)
    homing, loop = way_home(contract, goal, share)
    arm, now_ns, sent = begin, 10**9, []
    loop.start(now_ns)
    while not homing.arrived:
        loop.add("joint_state", {"position": arm}, now_ns, now_ns)
        output = loop.tick(now_ns).output
        assert loop.reason is None and output is not None
        assert output.limited == () or contract.limits_jerk, "which it takes up in a few ticks"
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
    _, loop = way_home(contract, HOME, 1.0)
    loop.start(10**9)
    for now_ns in range(10**9, 6 * 10**9, TICK):
        loop.add("joint_state", {"position": AWAY}, now_ns, now_ns)
        loop.tick(now_ns)
    assert loop.reason is StopReason.NOT_FOLLOWING


class Lagging:
    """An arm that comes closer to its commands by a share of what is missing, every tick, while it
    is sent home from rest at a last command ahead of it."""

    def __init__(self, contract, behind, share, held_s=0.0):
        self.contract = homing_contract(contract)
        self.now_ns = 10**9
        self.last = AWAY
        self.arm = AWAY - behind
        held = AWAY, self.now_ns - round(held_s * 1e9)
        self.homing, self.loop = way_home(self.contract, HOME, share, held)
        self.gap_ns = 0
        self.loop.gate.gap_ns = lambda now_ns, sent_ns: self.gap_ns
        self.loop.start(self.now_ns)
        self.sent = [AWAY]

    def tick(self):
        self.now_ns += TICK
        self.arm = self.arm + 0.03 * (self.sent[-1] - self.arm)
        self.loop.add("joint_state", {"position": self.arm}, self.now_ns, self.now_ns)
        output = self.loop.tick(self.now_ns).output
        if output is not None:
            self.sent.append(output.position)

    def fastest(self):
        """The largest velocity of any joint so far, in units of its limit."""
        moves = np.abs(np.diff(self.sent, axis=0)) / (TICK * 1e-9)
        return (moves / self.contract.limit("velocity")).max(initial=0.0)

    def go(self, most=3000):
        while not self.homing.arrived:
            self.tick()
            assert self.loop.reason is None and len(self.sent) < most


@pytest.mark.parametrize("share", [0.05, 0.2])
@pytest.mark.parametrize("behind", [0.0, 0.04, 0.12])
def test_an_arm_that_lags_goes_no_faster_than_its_share(contract, behind, share):
    """The gate begins at the last command, not where an arm that lags or sags is measured, and
    waits for one that is further behind."""
    way = Lagging(contract, behind, share)
    way.go()
    np.testing.assert_allclose(way.sent[-1], HOME, atol=1e-9)
    assert way.fastest() <= share * (1.0 + 1e-9)
    if behind == 0.12:
        assert way.now_ns > 10**9 + (len(way.sent) + 10) * TICK, "it had to wait"


def test_one_that_was_moved_begins_where_it_is(contract):
    """By more than an arm lags, and long after the last command."""
    way = Lagging(contract, 0.0, 0.2, held_s=5.0)
    way.arm = AWAY + 0.2
    way.loop.add("joint_state", {"position": way.arm}, way.now_ns, way.now_ns)
    while len(way.sent) < 2:
        way.arm = AWAY + 0.2
        way.sent[0] = way.arm
        way.tick()
    np.testing.assert_allclose(way.sent[1], AWAY + 0.2, atol=1e-9)
    way.go()
    assert way.fastest() <= 0.2 * (1.0 + 1e-9)


def test_what_a_pause_took_is_not_made_up_for(contract):
    """After one the gate goes on from rest, and free of the share."""
    way = Lagging(contract, 0.0, 0.2)
    while way.fastest() < 0.15:
        way.tick()
    way.gap_ns = 200 * 10**6
    way.tick()
    way.gap_ns = 0
    way.go()
    np.testing.assert_allclose(way.sent[-1], HOME, atol=1e-9)
    assert way.fastest() <= 0.2 * (1.0 + 1e-9)


def test_a_leader_who_takes_the_arm_on_its_way_is_not_slowed(contract):
    way = Lagging(contract, 0.0, 0.05)
    while way.fastest() < 0.04:
        way.tick()
    for _ in range(300):
        target = {"position": HOME - 0.5}
        way.loop.add("teleop_command", target, way.now_ns + TICK, way.now_ns + TICK)
        way.tick()
    assert way.loop.gate.source == "teleop" and way.fastest() > 0.3


def test_a_way_under_limits_of_jerk_is_one_that_can_be_followed(contract):
    """It takes as long as its jerk asks for, and never begins anew."""
    raw = contract.to_dict()
    for joint in raw["joints"]:
        joint["jerk"] = 20.0
    sent = journey(type(contract).from_dict(raw, "jerk"), AWAY, HOME, 0.5)
    np.testing.assert_allclose(sent[-1], HOME, atol=1e-6)
    expected_s = np.cbrt(60.0 * np.abs(AWAY - HOME).max() / (0.5 * 20.0)) + HELD_S
    assert len(sent) == pytest.approx(expected_s / (TICK * 1e-9), abs=3)


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
