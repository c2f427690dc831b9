"""CommandGate: who may drive, when it stops, and that nothing ever jumps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vdd_ros.command_gate import (
    ASTRAY_NS,
    HELD_WITHIN,
    CommandGate,
    StopReason,
    standing_ns,
)
from vdd_ros.contract import Contract

MS = 1_000_000
PERIOD = 10 * MS
T0 = 1_000_000_000
HOME = np.array([0.0, 0.0, 0.0, -1.5, 0.0, 1.5, 0.0])
AWAY = HOME + 0.5


@pytest.fixture(scope="module", params=[None, 1000.0], ids=["acceleration", "jerk"])
def contract(request, contract):
    """Two ways of keeping limits, and a gate that need not know."""
    raw = contract.to_dict()
    for joint in raw["joints"]:
        joint["jerk"] = request.param
    return Contract.from_dict(raw)


class Bench:
    """A gate, an arm that is where it was sent, and a clock; every tick checks for jumps."""

    def __init__(self, contract):
        self.gate = CommandGate(contract)
        self.now = T0
        self.arm = HOME
        self.sent: list[np.ndarray] = []

    def note(self, output):
        if output is not None:
            before = np.array([*self.sent[-2:], output.position]) if self.sent else None
            if before is not None:
                self.assert_no_jump(before)
            self.sent.append(output.position)
            self.arm = output.position
        return output

    def assert_no_jump(self, positions):
        moves = np.diff(positions, axis=0)
        assert np.isfinite(positions).all()
        assert (np.abs(moves) <= self.gate.filter.max_move + 1e-9).all()
        if len(moves) > 1:
            assert (np.abs(np.diff(moves, axis=0)) <= self.gate.filter.max_change + 1e-9).all()

    def advance(self, period=PERIOD, joints=True):
        self.now += period
        if joints:
            self.gate.observe(self.arm, self.now)

    def drive(self, source="teleop", target=AWAY, ticks=1):
        """A source that speaks at every control period."""
        for _ in range(ticks):
            self.advance()
            output = self.note(self.gate.submit(source, target, self.now, self.now))
        return output

    def wait(self, ticks, joints=True):
        """Nobody speaks; what the watchdog sends meanwhile."""
        outputs = []
        for _ in range(ticks):
            self.advance(joints=joints)
            outputs.append(self.note(self.gate.tick(self.now)))
        return outputs

    def assert_comes_to_rest(self, outputs):
        """There was a ramp, then silence, and the last command repeats the one before."""
        count = sum(output is not None for output in outputs)
        assert 0 < count < len(outputs)
        assert all(output is not None for output in outputs[:count])
        assert all(output.source is None for output in outputs[:count])
        np.testing.assert_array_equal(self.sent[-1], self.sent[-2])
        assert self.gate.silent


@pytest.fixture
def bench(contract):
    return Bench(contract)


def test_nothing_is_sent_before_the_joints_are_known(bench):
    bench.now += PERIOD
    assert bench.gate.submit("teleop", AWAY, bench.now, bench.now) is None
    bench.gate.observe(HOME[:6], bench.now)
    bench.gate.observe(HOME * np.nan, bench.now)
    assert bench.gate.submit("teleop", AWAY, bench.now + 1, bench.now + 1) is None
    assert bench.wait(5, joints=False) == [None] * 5


def test_nothing_is_sent_on_joints_that_are_too_old(bench):
    bench.gate.observe(HOME, bench.now)
    bench.now += 101 * MS
    assert bench.gate.submit("teleop", AWAY, bench.now, bench.now) is None


def test_the_first_command_starts_from_the_measured_position(bench):
    output = bench.drive()
    assert output.source == "teleop"
    assert (np.abs(output.position - HOME) <= bench.gate.filter.max_change + 1e-12).all()


@pytest.mark.parametrize("end", [-1.0, 1.0])
def test_a_leader_at_the_other_end_of_its_range_is_come_to_within_the_limits(bench, end):
    """One that speaks by itself has no take-up: it is the limits that keep the arm from leaping."""
    limits = bench.gate.filter
    far = np.where(end > 0, limits.upper, limits.lower)
    first = bench.drive(target=far)
    assert (np.abs(first.position - HOME) <= limits.max_change + 1e-12).all()
    bench.drive(target=far, ticks=250)  # each held against the limits of velocity, acceleration
    np.testing.assert_allclose(bench.arm, far, atol=1e-6)
    sent = np.array(bench.sent)
    assert (sent >= limits.lower - 1e-9).all() and (sent <= limits.upper + 1e-9).all()


def test_each_command_is_answered_at_once_and_the_target_is_reached(bench):
    for _ in range(60):
        assert bench.drive() is not None
    np.testing.assert_allclose(bench.sent[-1], AWAY, atol=1e-9)


def test_commands_never_exceed_the_control_rate(bench):
    bench.gate.observe(HOME, bench.now)
    for _ in range(500):
        bench.advance(2 * MS)
        bench.note(bench.gate.submit("teleop", AWAY, bench.now, bench.now))
        bench.note(bench.gate.tick(bench.now))
    assert 95 <= len(bench.sent) <= 101


def test_jitter_of_the_source_loses_no_command(bench):
    rng = np.random.default_rng(0)
    bench.gate.observe(HOME, bench.now)
    begin = bench.now
    for k in range(1, 200):
        bench.now = begin + k * PERIOD + int(rng.uniform(-2, 2) * MS)
        bench.gate.observe(bench.arm, bench.now)
        assert bench.note(bench.gate.submit("teleop", AWAY, bench.now, bench.now)) is not None


def test_a_slow_source_is_followed_between_its_commands(bench):
    for _ in range(20):
        bench.drive()
        bench.wait(4)
    assert len(bench.sent) == 80  # all but the period in which its own command might still come
    np.testing.assert_allclose(bench.sent[-1], AWAY, atol=1e-9)


def test_a_watchdog_that_looks_often_sends_no_more_often(bench):
    bench.drive()
    outputs = []
    for _ in range(50):
        bench.advance(2 * MS)
        outputs.append(bench.note(bench.gate.tick(bench.now)))
    assert 8 <= sum(output is not None for output in outputs) <= 10


def test_a_silent_source_ends_in_rest_then_silence(bench):
    bench.drive(ticks=20)
    assert all(output.source == "teleop" for output in bench.wait(20)[1:])
    outputs = bench.wait(60)
    bench.assert_comes_to_rest(outputs)
    assert bench.gate.reason is StopReason.SOURCE_SILENT
    assert outputs[0].reason is StopReason.SOURCE_SILENT


def test_a_source_that_speaks_again_waits_until_the_arm_is_at_rest(bench):
    bench.drive(ticks=20)
    bench.gate.release("teleop")
    while not bench.gate.silent:
        bench.advance()
        assert bench.gate.submit("teleop", AWAY, bench.now, bench.now) is None
        assert bench.note(bench.gate.tick(bench.now)).reason is StopReason.RELEASED
    assert bench.drive().source == "teleop"


def test_stale_joints_end_in_rest_then_silence(bench):
    bench.drive(ticks=20)
    outputs = []
    for _ in range(60):
        bench.advance(joints=False)
        output = bench.gate.submit("teleop", AWAY, bench.now, bench.now)
        outputs.append(bench.note(output or bench.gate.tick(bench.now)))
    bench.assert_comes_to_rest([o for o in outputs if o is None or o.source is None])
    assert bench.gate.reason is StopReason.JOINTS_STALE
    bench.wait(10)  # they come again, and so does the leader
    assert bench.drive(ticks=30) is None, "not before it is asked for"
    assert bench.gate.reset(bench.now) and bench.drive(ticks=2).source == "teleop"
    assert bench.gate.last_stop is StopReason.JOINTS_STALE and bench.gate.stops == 1


def in_motion(bench):
    bench.drive(ticks=15)
    move = bench.sent[-1] - bench.sent[-2]
    assert (np.abs(move) > 5 * bench.gate.filter.max_change).all()
    return move


def test_after_a_gap_the_arm_stands_and_the_next_command_begins_from_rest(bench):
    in_motion(bench)
    last = bench.sent[-1]
    bench.advance(12 * PERIOD)
    bench.gate.gap_ns = lambda now_ns, sent_ns: now_ns - sent_ns
    output = bench.gate.submit("teleop", AWAY, bench.now, bench.now)
    assert (np.abs(output.position - last) <= bench.gate.filter.max_change + 1e-9).all()


def test_joint_states_tell_for_how_long_the_arm_got_no_command(bench):
    bench.drive(ticks=2)
    assert bench.gate.arm_gap_ns == 0
    bench.gate.observe(bench.arm, bench.now + 50 * MS)
    assert bench.gate.arm_gap_ns == 50 * MS
    bench.now += 70 * MS
    bench.gate.submit("teleop", AWAY, bench.now, bench.now)
    bench.gate.observe(bench.arm, bench.now)  # it had been told late
    assert bench.gate.arm_gap_ns == 0


@pytest.mark.parametrize(("hz", "ms"), [(20.0, 200), (50.0, 80), (100.0, 40), (500.0, 20)])
def test_an_arm_stands_after_four_periods_or_what_is_more(hz, ms):
    assert standing_ns(round(1e9 / hz)) == ms * MS


def test_a_little_jitter_is_no_gap(bench):
    move = in_motion(bench)
    last = bench.sent[-1]
    bench.advance(3 * PERIOD)
    bench.gate.gap_ns = lambda now_ns, sent_ns: now_ns - sent_ns
    output = bench.gate.submit("teleop", AWAY, bench.now, bench.now)
    change = output.position - last - move
    assert (np.abs(change) <= bench.gate.filter.max_change + 1e-9).all()


def test_teleop_takes_over_from_the_policy_which_gets_the_arm_back_only_on_request(bench):
    bench.drive("policy", ticks=10)
    assert bench.drive("teleop", HOME).source == "teleop"
    assert bench.drive("policy") is None
    bench.drive("teleop", HOME, ticks=40)
    bench.now += 200 * MS
    while not bench.gate.silent:
        bench.wait(1)
    assert bench.gate.reason is StopReason.SOURCE_SILENT
    assert bench.drive("policy", ticks=100) is None
    assert bench.drive("teleop", HOME).source == "teleop", "a leader takes it again by leading"
    bench.gate.release("teleop")
    assert bench.wait(60)[-1] is None and bench.drive("policy", ticks=100) is None
    assert bench.gate.reset(bench.now) and bench.drive("policy").source == "policy"
    assert bench.gate.reason is None


def test_a_policy_that_fell_silent_does_not_begin_again_by_itself(bench):
    bench.drive("policy", ticks=20)
    assert bench.wait(80)[-1] is None and bench.gate.reason is StopReason.SOURCE_SILENT
    assert bench.drive("policy", ticks=100) is None
    assert bench.gate.reset(bench.now) and bench.drive("policy").source == "policy"


def test_a_policy_does_not_begin_after_a_leader_by_itself(bench):
    """Who brought the arm to where it begins has not asked it to."""
    bench.drive("teleop", ticks=20)
    bench.wait(80)
    assert bench.drive("policy", ticks=100) is None
    assert bench.gate.reset(bench.now) and bench.drive("policy").source == "policy"


def lead_beside(bench, ticks, off_ns=0, target=HOME):
    """A policy drives on, and a leader says something, stamped off_ns beside now."""
    for _ in range(ticks):
        bench.advance()
        bench.note(bench.gate.submit("teleop", target, bench.now + off_ns, bench.now))
        bench.note(bench.gate.submit("policy", AWAY, bench.now, bench.now))
        bench.note(bench.gate.tick(bench.now))


@pytest.mark.parametrize("off_ns", [-1_000 * MS, 10_000 * MS])
def test_a_leader_whose_clock_is_another_stops_a_policy(bench, off_ns):
    bench.drive("policy", ticks=10)
    lead_beside(bench, 20, off_ns)
    assert bench.gate.source == "policy", "for as long as one good message would have been in time"
    lead_beside(bench, 1, off_ns)
    assert bench.gate.reason is StopReason.LEADER_UNUSABLE and bench.gate.locked
    lead_beside(bench, 60, off_ns)
    assert bench.gate.silent
    told = bench.gate.told_rejects()
    assert told["late" if off_ns < 0 else "ahead"] == 81 and told["last_reject_age_s"] == "0.000"
    assert told["last_reject"].startswith(f"teleop: stamped {abs(off_ns) * 1e-9:.3f} s")
    assert bench.gate.reset(bench.now) and bench.drive("policy").source == "policy"


def test_a_policy_does_not_begin_beside_a_leader_whose_clock_is_another(bench):
    for _ in range(30):
        bench.advance()
        bench.gate.submit("teleop", HOME, bench.now - 1_000 * MS, bench.now)
    assert bench.gate.reason is None, "nobody drives"
    assert bench.drive("policy") is None
    assert bench.gate.reason is StopReason.LEADER_UNUSABLE


@pytest.mark.parametrize("target", [HOME * np.nan, HOME[:6]])
def test_a_leader_that_says_what_is_no_target_stops_a_policy(bench, target):
    bench.drive("policy", ticks=20)
    lead_beside(bench, 1, target=target)
    assert bench.gate.reason is StopReason.LEADER_UNUSABLE and bench.gate.locked
    bench.assert_comes_to_rest(bench.wait(60))
    assert bench.gate.rejects.counts["broken"] == 1


def test_a_leader_whose_message_cannot_be_read_stops_a_policy_and_no_leader(bench):
    bench.drive("teleop", ticks=5)
    bench.gate.refuse("teleop")
    assert bench.drive("teleop").source == "teleop", "until it counts as silent"
    bench.gate.stop(StopReason.DEACTIVATED)
    bench.wait(60)
    assert bench.gate.reset(bench.now) and bench.drive("policy", ticks=5).source == "policy"
    bench.gate.refuse("policy")
    assert bench.drive("policy").source == "policy"
    bench.gate.refuse("teleop")
    assert bench.gate.reason is StopReason.LEADER_UNUSABLE


def test_stray_messages_of_a_leader_stop_nothing(bench):
    """Held up by a network, sent twice, overtaken, or from before the policy was asked for."""
    bench.drive("teleop", ticks=5)
    bench.wait(80)
    assert bench.gate.reset(bench.now)
    bench.drive("policy", ticks=5)
    lead_beside(bench, 1, -1_000 * MS)  # one
    bench.drive("policy", ticks=30)
    for _ in range(50):  # a burst
        bench.gate.submit("teleop", HOME, bench.now - 500 * MS, bench.now)
    assert bench.drive("policy", ticks=30).source == "policy"
    for _ in range(30):  # one now and then, though older and older
        lead_beside(bench, 1, -1_000 * MS)
        assert bench.drive("policy", ticks=20).source == "policy"
    assert bench.gate.reason is None and bench.gate.rejects.counts["late"] == 81
    assert bench.drive("teleop", HOME).source == "teleop"


def test_what_a_leader_said_before_a_reset_counts_no_more(bench):
    bench.drive("teleop", ticks=5)
    bench.wait(80)
    assert bench.gate.reset(bench.now)
    bench.advance()
    assert bench.gate.submit("teleop", HOME, bench.now - 50 * MS, bench.now) is None
    assert bench.drive("teleop").source == "teleop"


def test_e_stop_holds_until_reset_whoever_speaks(bench):
    bench.drive(ticks=20)
    bench.gate.e_stop(True, bench.now)
    outputs = []
    for _ in range(40):
        bench.advance()
        output = bench.gate.submit("teleop", AWAY, bench.now, bench.now)
        outputs.append(bench.note(output or bench.gate.tick(bench.now)))
    bench.assert_comes_to_rest(outputs)
    assert not bench.gate.reset(bench.now)
    bench.gate.e_stop(False, bench.now)
    assert bench.drive() is None
    assert bench.gate.reason is StopReason.E_STOP
    assert bench.gate.reset(bench.now)
    assert bench.drive().source == "teleop"


def test_reset_waits_for_rest(bench):
    bench.drive(ticks=20)
    bench.gate.stop(StopReason.DEACTIVATED)
    assert not bench.gate.reset(bench.now)
    bench.wait(40)
    assert bench.gate.reset(bench.now)


def test_after_reset_only_a_newer_measurement_counts(bench):
    bench.drive(ticks=20)
    bench.gate.stop(StopReason.DEACTIVATED)
    bench.wait(40)
    assert bench.gate.reset(bench.now)
    bench.gate.observe(AWAY, bench.now - MS)  # still on its way when the arm was moved
    assert bench.gate.submit("teleop", AWAY, bench.now, bench.now) is None
    bench.sent.clear()
    bench.arm = HOME
    assert (np.abs(bench.drive().position - HOME) <= bench.gate.filter.max_change + 1e-12).all()


def test_the_first_reason_stays(bench):
    bench.drive(ticks=20)
    bench.gate.stop(StopReason.POLICY_FAILED)
    bench.gate.e_stop(True, bench.now)
    bench.wait(200, joints=False)
    assert bench.gate.reason is StopReason.POLICY_FAILED
    assert not bench.gate.reset(bench.now)


@pytest.mark.parametrize(
    ("target", "reason"),
    [(AWAY * np.nan, StopReason.NOT_FINITE), (AWAY * np.inf, StopReason.NOT_FINITE),
     (AWAY[:6], StopReason.WRONG_SIZE)],
)  # fmt: skip
def test_a_broken_target_from_whoever_drives_stops_until_reset(bench, target, reason):
    bench.drive(ticks=20)
    assert bench.drive(target=target) is None
    bench.assert_comes_to_rest(bench.wait(60))
    assert bench.gate.reason is reason
    assert bench.drive() is None


def test_a_broken_target_from_another_source_disturbs_nobody(bench):
    bench.drive("teleop", ticks=5)
    assert bench.drive("policy", AWAY * np.nan) is None
    assert bench.drive("teleop").source == "teleop"


def test_late_and_reordered_commands_are_not_followed(bench):
    bench.drive(ticks=3)
    bench.advance()
    assert bench.gate.submit("teleop", HOME, bench.now - 201 * MS, bench.now) is None
    assert bench.gate.submit("teleop", HOME, bench.now - 2 * PERIOD, bench.now) is None
    assert bench.gate.submit("teleop", HOME, bench.now + 201 * MS, bench.now) is None
    assert bench.gate.rejects.counts == {"late": 1, "ahead": 1, "out_of_order": 1, "broken": 0}


def test_after_silence_it_goes_on_from_the_last_command_while_the_arm_holds_it(bench):
    bench.drive(ticks=20)
    bench.gate.release("teleop")
    bench.assert_comes_to_rest(bench.wait(60))
    assert bench.gate.reason is StopReason.RELEASED
    last = bench.sent[-1]
    bench.arm = last - 0.9 * HELD_WITHIN  # it sags a little
    assert (np.abs(bench.drive().position - last) <= bench.gate.filter.max_change + 1e-12).all()


def test_nothing_starts_from_where_an_arm_cannot_be(bench):
    """Such as a driver that speaks of degrees."""
    bench.arm = HOME + np.array([0.0, 0.0, 0.0, 0.0, 0.0, 90.0, 0.0])
    assert bench.drive(ticks=5) is None
    assert bench.gate.reason is StopReason.OUTSIDE_LIMITS and bench.sent == []
    bench.arm = HOME.copy()
    bench.arm[1] = bench.gate.filter.upper[1] + 0.9 * HELD_WITHIN  # calibration is never perfect
    assert bench.drive().source == "teleop" and bench.gate.reason is None


def test_an_arm_that_may_still_be_on_its_way_is_waited_for(bench):
    bench.drive(ticks=20)
    bench.gate.release("teleop")
    while not bench.gate.silent:
        bench.wait(1)
    last, bench.arm = bench.sent[-1], bench.sent[0]
    assert bench.drive() is None
    bench.arm = last
    assert (np.abs(bench.drive().position - last) <= bench.gate.filter.max_change + 1e-12).all()


def test_after_silence_it_starts_from_where_an_arm_was_moved_to(bench):
    bench.drive(ticks=20)
    bench.gate.release("teleop")
    bench.wait(60)
    bench.arm = HOME - 0.3
    bench.sent.clear()
    bench.wait(50)
    output = bench.drive()
    assert (np.abs(output.position - (HOME - 0.3)) <= bench.gate.filter.max_change + 1e-12).all()


def test_a_clock_that_goes_back_ends_in_rest(bench):
    bench.drive(ticks=20)
    bench.now = T0 // 2
    bench.gate.observe(bench.arm, bench.now)
    bench.assert_comes_to_rest([bench.note(bench.gate.tick(bench.now)), *bench.wait(60)])
    assert bench.gate.reason is StopReason.CLOCK_BACK
    assert bench.drive() is None
    assert bench.gate.reset(bench.now) and bench.drive(ticks=2).source == "teleop"


numbers = st.floats(-4.0, 4.0) | st.sampled_from([np.nan, np.inf, 1e300])
events = st.one_of(
    st.tuples(st.just("drive"), st.sampled_from(["teleop", "policy"]), numbers, st.integers(1, 30)),
    st.tuples(st.just("wait"), st.booleans(), st.integers(1, 40)),
    st.tuples(st.just("e_stop"), st.booleans()),
    st.tuples(st.just("stop")),
    st.tuples(st.just("release"), st.sampled_from(["teleop", "policy"])),
    st.tuples(st.just("reset")),
    st.tuples(st.just("jump"), st.integers(-300, 300)),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(events, max_size=15))
def test_whatever_happens_nothing_jumps_and_it_always_comes_to_rest(contract, happenings):
    bench = Bench(contract)
    gate = bench.gate
    for kind, *what in happenings:
        if kind == "drive":
            source, number, ticks = what
            for _ in range(ticks):
                bench.drive(source, np.full(7, number))
                bench.note(gate.tick(bench.now))
        elif kind == "wait":
            bench.wait(what[1], joints=what[0])
        elif kind == "e_stop":
            gate.e_stop(what[0], bench.now)
        elif kind == "stop":
            gate.stop(StopReason.LOOP_ENDED)
        elif kind == "release":
            gate.release(what[0])
        elif kind == "reset":
            gate.reset(bench.now)
        else:
            bench.now += what[0] * MS
    gate.stop(StopReason.LOOP_ENDED)
    outputs = bench.wait(40)
    assert gate.silent and outputs[-1] is None


def test_an_arm_that_does_not_follow_is_stopped_until_reset(bench):
    bench.drive(ticks=5)
    stuck = bench.arm
    outputs = []
    for _ in range(200):
        bench.now += PERIOD
        bench.gate.observe(stuck, bench.now)
        outputs.append(bench.gate.submit("teleop", HOME + 1.5, bench.now, bench.now))
        outputs[-1] = bench.note(outputs[-1] or bench.gate.tick(bench.now))
    assert bench.gate.reason is StopReason.NOT_FOLLOWING and bench.gate.locked
    bench.assert_comes_to_rest(
        [one for one in outputs if one is None or one.reason is StopReason.NOT_FOLLOWING]
    )
    moving = [one for one in outputs if one is not None and one.source == "teleop"]
    astray = [np.abs(one.position - stuck).max() > 0.3 for one in moving]
    # half a second of it, from the measurement after the first on
    assert sum(astray) == ASTRAY_NS // PERIOD + 1


def test_a_lag_that_ends_in_time_is_no_stop(bench):
    """And the half second begins anew."""
    bench.drive(ticks=5)
    for _ in range(3):
        stuck = bench.arm
        for _ in range(45):
            bench.now += PERIOD
            bench.gate.observe(stuck - 0.4, bench.now)
            bench.note(bench.gate.submit("teleop", AWAY, bench.now, bench.now))
        bench.drive(ticks=2)
    assert bench.gate.reason is None


def test_a_joint_without_a_bound_may_be_anywhere(contract):
    """As a gripper that holds something."""
    raw = contract.to_dict()
    del raw["joints"][6]["tracking"]
    bench = Bench(Contract.from_dict(raw, "test"))
    bench.drive(ticks=5)
    for _ in range(100):
        bench.now += PERIOD
        bench.gate.observe(bench.arm - 0.5 * np.eye(7)[6], bench.now)
        bench.note(bench.gate.submit("teleop", AWAY, bench.now, bench.now))
    assert bench.gate.reason is None
