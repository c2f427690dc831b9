"""The e-stop's memory of who presses it, and a clock that does not go on as real time does."""

import pytest

from vdd_ros.clock_watch import PATIENCE_NS, ClockWatch
from vdd_ros.contract import Contract
from vdd_ros.e_stop import UNKNOWN, EStop

MS = 1_000_000


def test_one_that_lets_go_does_not_let_go_for_another():
    e_stop = EStop()
    e_stop.say("a", True)
    e_stop.say("b", True)
    e_stop.say("b", False)
    assert e_stop.pressed
    e_stop.say("a", False)
    assert not e_stop.pressed


def test_who_pressed_and_is_gone_counts_until_it_is_asked_to_be_forgotten():
    e_stop = EStop()
    e_stop.say("gone", True)
    e_stop.say("there", True)
    assert e_stop.forget_others(["there", "others"]) == 1 and e_stop.pressed
    e_stop.say("there", False)
    assert not e_stop.pressed


def test_of_speakers_who_are_not_told_apart_nobody_lets_go_for_another():
    e_stop = EStop()
    e_stop.say(UNKNOWN, True)
    e_stop.say(UNKNOWN, False)
    assert e_stop.pressed
    assert e_stop.forget_others([UNKNOWN]) == 0 and not e_stop.pressed


@pytest.fixture
def watch():
    return ClockWatch(Contract.from_yaml("config/panda_avoid.yaml"))  # joints: .1 s


def seen(watch, clock_ns, real_ns):
    watch.see(clock_ns, real_ns)
    return watch.stands, watch.leapt


def test_a_clock_that_goes_on_is_neither_standing_nor_leaping(watch):
    assert {seen(watch, 10 * MS * k, 10 * MS * k + 7) for k in range(100)} == {(False, False)}


def test_a_clock_that_stands_is_told_after_a_while_and_until_it_goes_on(watch):
    told = [seen(watch, 5, 10 * MS * k)[0] for k in range(100)]
    assert told.index(True) == PATIENCE_NS // (10 * MS) + 1 and all(told[told.index(True) :])
    assert seen(watch, 6, 1_000 * MS) == (False, False)


@pytest.mark.parametrize("times_real", [0.1, 1.0, 15.0])
def test_slow_and_fast_simulated_time_is_no_leap(watch, times_real):
    found = {seen(watch, round(10 * MS * k * times_real), 10 * MS * k) for k in range(100)}
    assert found == {(False, False)}


def test_a_clock_that_gains_more_than_joints_may_be_old_has_leapt_once(watch):
    seen(watch, 0, 0)
    assert seen(watch, 10 * MS + 300 * MS, 10 * MS) == (False, True)
    assert seen(watch, 20 * MS + 300 * MS, 20 * MS) == (False, False)


def test_a_process_that_stood_still_has_seen_no_leap(watch):
    seen(watch, 0, 0)
    assert seen(watch, 2_000 * MS, 2_000 * MS) == (False, False)


def test_a_clock_that_catches_up_with_real_time_has_not_leapt(watch):
    """As that of a process that stood still and hears of /clock a little later."""
    seen(watch, 0, 0)
    seen(watch, 10 * MS, 10 * MS)
    seen(watch, 10 * MS, 310 * MS)  # awake again
    assert seen(watch, 315 * MS, 315 * MS) == (False, False)
    assert seen(watch, 1_000 * MS, 320 * MS) == (False, True)
