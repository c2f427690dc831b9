"""Plans from beside the ticks: the loop never waits, and what is old in a late plan is skipped."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from vdd_ros.acting import ActingRule
from vdd_ros.action_loop import LONGEST_PLANNING_NS, ActionLoop
from vdd_ros.command_gate import StopReason
from vdd_ros.inference import PolicyError, PolicyOutput
from vdd_ros.planning_thread import PlanningThread

HOME = np.array([0.0, 0.0, 0.0, -1.5, 0.0, 1.5, 0.0])
MS = 1_000_000
TICK = 10 * MS
RULE = ActingRule(hold_ticks=1, replan_ticks=5)


class Slow:
    """A policy that answers when it is told to: a slow drift of every joint from where it was."""

    n_obs_steps, horizon, action_dim, n_experts, noise_shape = 1, 8, 7, 1, (2,)
    density = expert = None

    def __init__(self):
        self.may_answer = threading.Semaphore(0)
        self.fault: Exception | None = None
        self.asked: list[np.ndarray] = []

    def infer(self, window, noise=None):
        self.asked.append(window.copy())
        assert self.may_answer.acquire(timeout=30.0)
        if self.fault is not None:
            raise self.fault
        steps = window[-1] + 0.02 * np.arange(8)[:, None]
        return PolicyOutput(np.zeros(1), steps[None])


class Bench:
    """A loop with a slow policy, an arm that is where it was sent, and a clock."""

    def __init__(self, contract, rule=RULE):
        self.policy = Slow()
        rng = np.random.default_rng(0)
        self.loop = ActionLoop(contract, self.policy, rule, rng, threaded=True)
        self.arm, self.now_ns = HOME, 0
        self.loop.start(0)

    def tick(self):
        self.loop.add("joint_state", {"position": self.arm}, self.now_ns, self.now_ns)
        self.now_ns += TICK
        result = self.loop.tick(self.now_ns)
        if result.output is not None:
            self.arm = result.output.position
        return result

    def wait_until_asked(self, count):
        end = time.monotonic() + 30.0
        while len(self.policy.asked) < count:
            assert time.monotonic() < end
            time.sleep(0.001)

    def answer(self):
        """Let the policy answer, and wait until the loop can see it."""
        self.policy.may_answer.release()
        end = time.monotonic() + 30.0
        while self.loop._planning._answers.empty():
            assert time.monotonic() < end
            time.sleep(0.001)

    def close(self):
        self.loop.close()
        self.policy.may_answer.release(100)


@pytest.fixture
def bench(contract):
    bench = Bench(contract)
    yield bench
    bench.close()


def test_a_tick_does_not_wait_and_a_late_plan_begins_in_its_middle(bench):
    first = bench.tick()
    assert first.output is None and first.chunk is None
    bench.wait_until_asked(1)
    for _ in range(7):
        assert bench.tick().output is None
    assert len(bench.policy.asked) == 1
    bench.answer()
    result = bench.tick()
    assert result.replanned and result.infer_s is not None and result.output is not None
    # a plan for the tick that it was asked at, 80 ms ago, of steps 100 ms apart
    assert result.chunk is not None and result.chunk.start_ns == first.tick_ns
    np.testing.assert_allclose(result.wish, HOME + 0.8 * 0.02)


def test_the_next_plan_is_asked_for_in_time_while_the_last_is_followed(bench):
    bench.tick()
    bench.wait_until_asked(1)
    bench.answer()
    ticks = [bench.tick() for _ in range(12)]
    assert [tick.replanned for tick in ticks] == [True] + 11 * [False]
    assert all(tick.output is not None for tick in ticks)
    bench.wait_until_asked(2)
    bench.answer()
    assert bench.tick().replanned


def test_a_plan_that_never_comes_ends_in_rest(bench):
    bench.tick()
    bench.wait_until_asked(1)
    bench.answer()
    outputs = [bench.tick().output for _ in range(120)]
    assert bench.loop.reason is StopReason.PLAN_LATE
    last = [output for output in outputs if output is not None][-1]
    assert last.reason is StopReason.PLAN_LATE and bench.loop.gate.silent


def test_a_first_plan_that_never_comes_is_a_stop(bench):
    for _ in range(LONGEST_PLANNING_NS // TICK + 3):
        assert bench.tick().output is None
    assert bench.loop.reason is StopReason.POLICY_FAILED


@pytest.mark.parametrize("fault", [PolicyError("broken"), ZeroDivisionError("nobody expected it")])
def test_a_policy_that_fails_is_a_stop(bench, fault):
    bench.policy.fault = fault
    bench.tick()
    bench.wait_until_asked(1)
    bench.answer()
    assert bench.tick().output is None
    assert bench.loop.reason is StopReason.POLICY_FAILED
    assert str(fault) in bench.loop.detail
    bench.policy.fault = None
    bench.loop.start(bench.now_ns)
    assert bench.loop.detail == ""
    bench.tick()
    bench.wait_until_asked(2)
    bench.answer()
    assert bench.tick().replanned


def test_a_policy_that_is_still_at_what_the_last_run_asked_is_a_stop_as_well(bench):
    bench.tick()
    bench.wait_until_asked(1)
    bench.loop.start(bench.now_ns)
    for _ in range(LONGEST_PLANNING_NS // TICK + 3):
        assert bench.tick().output is None
    assert bench.loop.reason is StopReason.POLICY_FAILED


def test_a_plan_that_is_over_when_it_comes_is_not_followed(bench):
    bench.tick()
    bench.wait_until_asked(1)
    for _ in range(75):  # seven steps of 100 ms, and a little
        bench.tick()
    bench.answer()
    assert bench.tick().output is None
    assert bench.loop.reason is StopReason.PLAN_LATE


def test_a_late_plan_takes_over_from_when_it_came(contract):
    """And not from when it was asked for: it would be a jump."""
    bench = Bench(contract, ActingRule(hold_ticks=1, replan_ticks=1, ensemble_ticks=5))
    try:
        bench.tick()
        bench.wait_until_asked(1)
        bench.answer()
        bench.tick()
        bench.tick()
        bench.wait_until_asked(2)
        bench.arm = HOME + 0.2
        before = bench.tick().wish
        for _ in range(5):
            before = bench.tick().wish
        bench.answer()
        after = bench.tick().wish
        assert np.abs(after - before).max() < 0.06
    finally:
        bench.close()


def test_a_new_run_does_not_follow_what_the_last_one_asked_for(bench):
    bench.tick()
    bench.wait_until_asked(1)
    bench.now_ns += 1_000 * MS
    bench.arm = HOME + 0.3
    bench.loop.start(bench.now_ns)
    bench.answer()
    assert bench.tick().chunk is None
    bench.wait_until_asked(2)
    np.testing.assert_array_equal(bench.policy.asked[1][-1], HOME + 0.3)
    bench.answer()
    result = bench.tick()
    assert result.replanned
    np.testing.assert_array_less(HOME + 0.29, result.wish)


def test_answers_come_in_the_order_of_questions_and_the_thread_ends():
    thread = PlanningThread()
    for answer in ("a", "b"):
        thread.ask(lambda answer=answer: answer)
    found = []
    end = time.monotonic() + 30.0
    while len(found) < 2 and time.monotonic() < end:
        if (answer := thread.answer()) is not None:
            found.append(answer.plan)
    assert found == ["a", "b"] and thread.idle
    thread.close()
    thread._thread.join(30.0)
    assert not thread._thread.is_alive()
