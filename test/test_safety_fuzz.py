"""Hostile input against both ways of keeping limits; `vdd bench safety` sends 100,000 sequences."""

import json
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vdd_ros import cli, hostile
from vdd_ros.safety import LIMITS, safe_commands
from vdd_ros.step_limits import TOLERANCE, StepLimits

EXAMPLES = int(os.environ.get("VDD_EXAMPLES", "1000"))
both_ways = pytest.mark.parametrize("jerk", [False, True], ids=["acceleration", "jerk"])


def assert_within(sequence: hostile.Sequence) -> np.ndarray:
    commands = hostile.answer(sequence)
    found = hostile.excess(sequence, commands)
    assert max(found.values()) <= TOLERANCE, found
    return commands


@pytest.mark.slow
@both_ways
def test_no_hostile_sequence_gets_a_command_beyond_a_limit(jerk):
    @settings(max_examples=EXAMPLES, deadline=None, database=None)
    @given(seed=st.integers(0, 2**63), is_mutated=st.booleans(), steps=st.integers(50, 60))
    def attack(seed, is_mutated, steps):
        sequence = hostile.sequence(np.random.default_rng(seed), jerk, is_mutated, steps)
        assert len(sequence.targets) >= steps
        assert_within(sequence)

    attack()


@both_ways
def test_neither_do_the_first_three_hundred(jerk):
    """Without waiting for the slow ones: some leave their range where nothing looks ahead."""
    for number in range(300):
        assert_within(hostile.sequence(np.random.default_rng(number), jerk, number % 2 == 0, 50))


numbers = st.floats(width=64) | st.floats(-3.0, 3.0) | st.sampled_from(hostile.STRANGE)
targets = st.none() | st.lists(numbers, min_size=0, max_size=3).map(np.array)
usual = st.lists(numbers, min_size=2, max_size=2).map(np.array)
pieces = st.lists(st.tuples(usual | targets, st.integers(1, 40)), min_size=1, max_size=8)


@both_ways
def test_neither_does_one_that_can_be_made_smaller(jerk):
    """Built number by number, so that hypothesis finds the simplest that fails."""

    @settings(max_examples=EXAMPLES // 5, deadline=None)
    @given(seed=st.integers(0, 9999), plan=pieces)
    def attack(seed, plan):
        rng = np.random.default_rng(seed)
        contract = hostile.robot(rng, jerk, joints=2)
        start = hostile.start(rng, StepLimits.of(contract))
        asked = [target for target, periods in plan for _ in range(periods)]
        assert_within(hostile.Sequence(contract, start, asked))

    attack()


@both_ways
def test_answers_are_a_function_of_the_arguments_alone(jerk):
    for number in range(20):
        one = hostile.sequence(np.random.default_rng(number), jerk, number % 2 == 0, 50)
        first, again = safe_commands(*one), safe_commands(*one)
        np.testing.assert_array_equal(first, again)
        assert first.shape == (len(one.targets), one.start.size)
        # what comes later changes nothing of what came before
        np.testing.assert_array_equal(
            safe_commands(*one._replace(targets=one.targets[:30])), first[:30]
        )


@both_ways
def test_a_run_within_the_limits_is_followed(jerk):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        contract = hostile.robot(rng, jerk, joints=3)
        limits = StepLimits.of(contract)
        start = (limits.lower + limits.upper) / 2
        run = hostile.valid_run(rng, limits, start, 400)
        found = limits.excess(start, np.array(run))
        assert max(found[name] for name in ("position", "velocity", "acceleration")) <= TOLERANCE
        moving = np.abs(np.diff([start, *run], 3, axis=0))  # from where it accelerates already
        assert (moving <= limits.bend + TOLERANCE).all()
        if (
            not jerk
        ):  # of the limits of jerk these runs take all, and leave nothing to catch up with
            assert np.abs(safe_commands(contract, start, run) - run)[200:].max() < 1e-6


def test_a_command_beyond_a_limit_is_found():
    rng = np.random.default_rng(3)
    limits = StepLimits.of(hostile.robot(rng, jerk=True, joints=1))
    at = np.zeros(1)
    ways = {
        "velocity": np.cumsum([[0.0]] * 3 + [[2.0]] * 3, axis=0) * limits.move,
        "acceleration": np.array([[1.5]]) * limits.change,
        "jerk": np.array([[1.5]]) * limits.bend,
        "position": limits.upper + [[0.01]],
    }
    for name, commands in ways.items():
        assert limits.excess(at, commands)[name] > TOLERANCE, name
    assert limits.excess(at, np.array([[np.nan]])) == dict.fromkeys(LIMITS, np.inf)
    assert max(limits.excess(at, np.zeros((5, 1))).values()) <= 0.0


def test_the_bench_says_what_it_found(capsys):
    assert cli.main(["bench", "safety", "--sequences", "40", "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [row["limits"] for row in result["rows"]] == ["acceleration", "jerk"]
    for row in result["rows"]:
        assert row["violations"] == 0 and row["mutated"] == 10 and row["steps"] >= 20 * 50
        assert row["moved"] > 10
    assert cli.main(["bench", "safety", "--steps", "10"]) == 2
