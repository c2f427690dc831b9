"""Follower: when it engages, what it holds, and what ends it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from two_arms import HOME, arm_with_gripper

from vdd_ros.teleop.device import Grip
from vdd_ros.teleop.follower import (
    ASTRAY_S,
    AT_REST_S,
    ENDING_S,
    UNANSWERED_S,
    Follower,
    State,
)
from vdd_ros.teleop.gripper import Gripper
from vdd_ros.teleop.jog import Jog
from vdd_ros.teleop.reading import Reading

CONTRACT = arm_with_gripper("absolute_position")  # the gripper is joint 3 of 8
START = np.insert(np.array(HOME), 3, 0.5)
DT = 0.01
TIMEOUT_S = 0.2
REST, AHEAD = np.zeros(8), np.eye(8)[0] * 0.2


class Bench:
    """A follower that is where it was last told to be, unless it is stuck; and a device."""

    def __init__(self, hold: bool = True, stuck: bool = False, **speaks):
        gripper = Gripper(Grip(speed=0.5), CONTRACT)
        self.follower = Follower(CONTRACT, Jog(CONTRACT), gripper, TIMEOUT_S, hold)
        self.now_s, self.position, self.is_stuck = 100.0, START, stuck
        self.speaks = {"device": True, "joints": True, "commands": True} | speaks
        self.sent: list[np.ndarray | None] = []

    def run(self, seconds: float, wish=REST, **reading) -> list[np.ndarray | None]:
        """What is sent meanwhile."""
        count = round(seconds / DT)
        for _ in range(count):
            self.now_s += DT
            if self.speaks["joints"]:
                self.follower.observe(self.position, self.now_s)
            if self.speaks["device"]:
                self.follower.take(Reading(wish, **reading), self.now_s)
            target = self.follower.tick(self.now_s)
            self.sent.append(target)
            if target is not None:
                self.position = self.position if self.is_stuck else target
                if self.speaks["commands"]:
                    self.follower.hear_command(target, self.now_s)
        return self.sent[-count:]


def engaged(**options) -> Bench:
    bench = Bench(**options)
    bench.run(0.1, wanted=False)
    bench.run(0.1, AHEAD, wanted=True)
    assert bench.follower.state is State.ENGAGED
    return bench


def test_nothing_is_sent_until_the_clutch_was_open_and_is_closed():
    bench = Bench()
    assert set(map(type, bench.run(0.5, AHEAD, wanted=True))) == {type(None)}
    assert set(map(type, bench.run(0.5, AHEAD, wanted=False))) == {type(None)}
    sent = bench.run(0.5, AHEAD, wanted=True)
    assert np.abs(sent[0] - START).max() <= 0.2 * DT
    np.testing.assert_allclose(sent[-1] - sent[-11], AHEAD * 10 * DT, atol=1e-9)


def test_an_open_clutch_holds_and_a_closed_one_goes_on_from_there():
    bench = engaged()
    held = np.array(bench.run(1.0, AHEAD, wanted=False))
    assert 0.0 < held[-1][0] - held[0][0] < 0.2 * 5 * DT, "no sudden stop"
    np.testing.assert_array_equal(held[10:], np.tile(held[-1], (90, 1)))
    assert bench.follower.state is State.HELD
    again = bench.run(0.1, AHEAD, wanted=True)
    assert 0.0 < again[0][0] - held[-1][0] <= 0.2 * DT


def test_an_open_clutch_lets_go_where_that_is_asked_for():
    bench = engaged(hold=False)
    assert bench.run(0.1, AHEAD, wanted=False) == [None] * 10
    assert bench.run(0.1, AHEAD, wanted=True)[-1] is not None


def test_a_device_without_a_clutch_is_engaged_by_moving_it_after_rest():
    bench = Bench()
    assert bench.run(0.3, AHEAD) == [None] * 30
    assert bench.run(0.3, REST) == [None] * 30
    bench.run(0.2, AHEAD)
    assert bench.follower.state is State.ENGAGED
    np.testing.assert_array_equal(bench.run(AT_REST_S + 1.0, REST)[-1], bench.position)


def test_a_device_without_a_clutch_that_rests_is_let_go_of_where_that_is_asked_for():
    bench = Bench(hold=False)
    bench.run(0.1)
    bench.run(0.2, AHEAD)
    sent = bench.run(AT_REST_S + 0.5)
    assert sent[0] is not None and sent[-1] is None
    bench.run(0.1, AHEAD)
    assert bench.follower.state is State.ENGAGED, "the next who moves it has it again"


def ends(bench: Bench, reason: str, seconds: float = 2.0, **reading) -> list[np.ndarray]:
    """What is sent until it ends by itself: moving first, then the same for a while."""
    sent = bench.run(seconds, AHEAD, **({"wanted": True} | reading))
    assert bench.follower.state is State.IDLE and reason in bench.follower.reason
    spoken = [one for one in sent if one is not None]
    assert sent[len(spoken) :] == [None] * (len(sent) - len(spoken)), "then silence"
    held = round(ENDING_S / DT) - 10
    np.testing.assert_array_equal(spoken[-held:], np.tile(spoken[-1], (held, 1)))
    return spoken


def test_a_silent_device_is_held_for_a_while_and_then_nothing_is_sent():
    bench = engaged()
    bench.speaks["device"] = False
    spoken = ends(bench, "the device is silent for more than 0.2 s")
    # what was wanted last goes on no longer than the device may be silent
    assert spoken[-1][0] - START[0] <= 0.2 * (0.1 + TIMEOUT_S + 6 * DT)


def test_a_silent_device_ends_a_hold_as_well():
    bench = engaged()
    bench.run(0.1, wanted=False)
    bench.speaks["device"] = False
    ends(bench, "the device is silent")


def test_after_a_fault_the_clutch_has_to_be_opened_first():
    bench = engaged()
    bench.speaks["device"] = False
    ends(bench, "silent")
    bench.speaks["device"] = True
    assert bench.run(0.5, AHEAD, wanted=True) == [None] * 50
    bench.run(0.1, AHEAD, wanted=False)
    assert bench.run(0.1, AHEAD, wanted=True)[-1] is not None
    assert bench.follower.reason == ""


def test_joint_states_that_no_longer_come_end_it():
    bench = engaged()
    bench.speaks["joints"] = False
    ends(bench, "no joint state for more than")


def test_without_joint_states_nothing_engages_and_it_is_said():
    bench = Bench(joints=False)
    bench.run(0.1, wanted=False)
    assert bench.run(0.1, wanted=True) == [None] * 10
    assert "no joint states come" in bench.follower.reason
    bench.speaks["joints"] = True
    assert bench.run(0.1, wanted=True) == [None] * 10, "not by surprise, some time later"


def test_a_follower_that_does_not_follow_is_not_run_away_from():
    bench = engaged(stuck=True)
    spoken = ends(bench, "panda_joint1 least", seconds=ASTRAY_S + 4.0)
    ahead = np.abs(np.array(spoken) - START)
    assert ahead.max() <= CONTRACT.tracking[0] + 0.2 * DT + 1e-9


def test_a_gate_that_sends_nothing_is_told_of():
    bench = engaged()
    bench.speaks["commands"] = False
    bench.run(UNANSWERED_S - 0.1, wanted=True)
    assert bench.follower.state is State.ENGAGED
    ends(bench, "the gate sends nothing to the robot")


def test_the_e_stop_ends_it_at_once_and_letting_go_of_it_starts_nothing():
    bench = engaged()
    bench.follower.e_stop(True)
    assert bench.run(0.2, AHEAD, wanted=True) == [None] * 20
    bench.run(0.1, wanted=False)
    assert bench.run(0.1, AHEAD, wanted=True) == [None] * 10
    assert "the e-stop is pressed" in bench.follower.reason
    bench.follower.e_stop(False)
    assert bench.run(0.2, AHEAD, wanted=True) == [None] * 20
    bench.run(0.1, wanted=False)
    assert bench.run(0.1, AHEAD, wanted=True)[-1] is not None


def test_a_clutch_that_is_closed_by_asking():
    bench = Bench()
    assert not bench.follower.engage(bench.now_s) and "nothing comes" in bench.follower.reason
    bench.run(0.1, AHEAD, wanted=False)
    assert bench.follower.engage(bench.now_s)
    bench.run(0.1, AHEAD, wanted=True)
    bench.follower.release()
    np.testing.assert_array_equal(bench.run(0.2, AHEAD, wanted=False)[-1], bench.position)
    bench.follower.let_go()
    assert bench.run(0.2, AHEAD, wanted=False) == [None] * 20


@pytest.mark.parametrize(
    ("sent", "ago_s", "begins"),
    [
        (0.03, 5.0, 0.03),  # the arm sags below what it holds
        (0.15, 5.0, 0.0),  # it was moved by hand since
        (0.15, 0.0, 0.15),  # it lags behind a policy that drives
        (0.4, 0.0, 0.0),
    ],
)
def test_it_begins_where_the_arm_was_sent_if_it_is_there(sent, ago_s, begins):
    bench = Bench(commands=False)
    arm = np.arange(8) != 3
    commanded = np.where(arm, START + sent, 0.1)  # the gripper holds something in between
    bench.run(0.1, wanted=False)
    bench.follower.hear_command(commanded, bench.now_s - ago_s)
    first = bench.run(DT, wanted=True)[0]
    np.testing.assert_allclose(first, np.where(arm, START + begins, 0.1), atol=1e-12)


def test_a_gripper_closes_and_opens_by_a_press_at_its_speed():
    bench = engaged()
    bench.run(DT, wanted=True, grip=0.0)
    sent = np.array(bench.run(0.5, wanted=True))
    moves = np.diff(sent[:, 3])
    assert np.abs(moves).max() <= 0.5 * 5.0 * DT + 1e-12 and sent[-1, 3] == 0.0
    bench.run(DT, wanted=True, grip=1.0)
    assert bench.run(0.05, wanted=True)[-1][3] < 0.2, "on its way"
    bench.run(0.1, wanted=False)
    held = bench.position[3]
    assert bench.run(0.2, wanted=True)[-1][3] == held, "a new grip of the clutch, a new press"


def test_time_that_was_lost_is_not_made_up_for():
    bench = engaged()
    before = bench.position
    bench.now_s += 0.15
    after = bench.run(DT, AHEAD, wanted=True)[0]
    assert after[0] - before[0] <= 0.2 * 2 * DT + 1e-12


@pytest.mark.parametrize("moment", ["before", "after"])
def test_what_somebody_else_knows_keeps_it_from_sending(moment):
    bench = Bench() if moment == "before" else engaged()
    bench.follower.obstacle = "nobody listens"
    if moment == "after":
        ends(bench, "nobody listens")
        return
    bench.run(0.1, wanted=False)
    assert bench.run(0.1, AHEAD, wanted=True) == [None] * 10
    assert bench.follower.reason == "nobody listens"


ACTS = {
    "lead": lambda bench, size: bench.follower.take(Reading(AHEAD * size, True), bench.now_s),
    "move": lambda bench, size: bench.follower.take(Reading(AHEAD * size), bench.now_s),
    "open": lambda bench, size: bench.follower.take(Reading(REST, False), bench.now_s),
    "rest": lambda bench, size: bench.follower.take(Reading(REST), bench.now_s),
    "grip": lambda bench, size: bench.follower.take(Reading(REST, True, 0.0), bench.now_s),
    "away": lambda bench, size: bench.follower.take(Reading(REST, let_go=True), bench.now_s),
    "press": lambda bench, size: bench.follower.e_stop(True),
    "free": lambda bench, size: bench.follower.e_stop(False),
    "engage": lambda bench, size: bench.follower.engage(bench.now_s),
    "shove": lambda bench, size: setattr(bench, "position", START + 0.2 * size),
    "drive": lambda bench, size: bench.follower.hear_command(START + 0.5 * size, bench.now_s),
    "blind": lambda bench, size: bench.speaks.update(joints=size > 0.0),
    "wait": lambda bench, size: None,
}


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(list(ACTS)), st.floats(-5.0, 5.0), st.floats(0.001, 0.4)),
        max_size=60,
    ),
    st.booleans(),
)
def test_whatever_happens_targets_are_near_the_arm_and_never_jump(acts, hold):
    bench = Bench(hold=hold)
    most = CONTRACT.limit("velocity") * 2 * DT
    ahead = np.where(np.arange(8) == 3, np.inf, CONTRACT.tracking)
    before, pressed = None, False
    for name, size, pause_s in acts:
        bench.now_s += pause_s
        if bench.speaks["joints"]:
            bench.follower.observe(bench.position, bench.now_s)
        state = bench.follower.state
        ACTS[name](bench, size)
        if state is State.ENDING and bench.follower.state is State.ENGAGED:
            before = None  # it begins anew
        pressed = {"press": True, "free": False}.get(name, pressed)
        target = bench.follower.tick(bench.now_s)
        if target is None:
            before = None
            continue
        assert not pressed and np.isfinite(target).all()
        if before is None:  # it begins where the arm is, or is sent
            assert (np.abs(target - bench.position) <= ahead + most + 1e-9).all()
        else:
            assert (np.abs(target - before) <= most + 1e-9).all()
        before = target
