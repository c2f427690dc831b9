"""Decisions: a row a tick, none lost that is fetched in time, and no memory."""

import math

import numpy as np

from vdd_ros.command_gate import GateOutput, StopReason
from vdd_ros.decisions import COLUMNS, Decisions
from vdd_ros.stream import Window
from vdd_ros.tick_result import TickResult

AT = list(COLUMNS).index
RATE_HZ = 100.0


def tick(tick_ns: int, reason: StopReason | None = None, **more) -> TickResult:
    source = None if reason else "policy"
    return TickResult(tick_ns, GateOutput(np.zeros(7), source, (), reason, np.zeros(7)), **more)


def test_a_row_says_who_was_followed_and_why_not():
    decisions = Decisions(RATE_HZ)
    second_ns = 1_700_000_000_000_000_000
    stamps_ns = np.array([[0, 0], [second_ns - 4_000_000, second_ns - 3_000_000]])
    seen = Window(np.zeros((2, 7)), stamps_ns, second_ns)
    limited = GateOutput(np.zeros(7), "policy", ("velocity", "jerk"), None, np.zeros(7))
    now_ns = seen.tick_ns + 20_000_001
    decisions.note(TickResult(now_ns, limited, expert=3, replanned=True, infer_s=4e-5, seen=seen))
    decisions.note(tick(now_ns, StopReason.E_STOP))
    decisions.note(TickResult(now_ns, wish=np.zeros(7)))
    decisions.note(TickResult(now_ns))  # nothing was decided
    followed, braked, wished = decisions.fetch()
    nan = math.nan
    expected = [1.7e9, 20_000_001, 1, 1, nan, 2 + 8, 3, 1, 0.020000001, 4e-5, 0.023000001]
    np.testing.assert_allclose(followed, expected, rtol=0, atol=1e-12)
    assert np.isnan(braked[AT("source")])
    assert list(StopReason)[int(braked[AT("reason")])] is StopReason.E_STOP
    assert wished[AT("sent")] == 0.0 and np.isnan(wished[AT("reason")])
    assert not len(decisions.fetch())


def test_of_more_than_a_second_the_newest_are_kept_in_order():
    decisions = Decisions(RATE_HZ)
    rows = decisions._rows
    fetched = []
    for number in range(750):
        decisions.note(tick(number))
        if number in (30, 99, 260, 749):
            fetched.append(decisions.fetch()[:, AT("tick_ns")].astype(int).tolist())
    assert fetched[0] == list(range(31)) and fetched[1] == list(range(31, 100))
    assert fetched[2] == list(range(161, 261)) and fetched[3] == list(range(650, 750))
    assert decisions._rows is rows
