"""Success, diversity and equality against closed forms."""

from math import log

import numpy as np
import pytest

from vdd_ros.statistics import (
    Pair,
    behaviour_entropy,
    equal_to_teacher,
    mean_interval,
    modes_covered,
    modes_taken,
    wilson,
)

EVEN = list(range(24)) * 10


def shuffled(ways, seed):
    return [ways[i] for i in np.random.default_rng(seed).permutation(len(ways))]


def test_the_interval_of_a_mean_is_students():
    mean, low, high = mean_interval(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    half = 2.7764451 * np.sqrt(2.5) / np.sqrt(5)  # t of 4 degrees of freedom, from the tables
    assert (mean, low, high) == pytest.approx((3.0, 3.0 - half, 3.0 + half))


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),  # by hand: z^2 / (n + z^2)
        (10, 10, 0.7225, 1.0),
        (1, 20, 0.0089, 0.2361),
        (81, 263, 0.2553, 0.3662),  # Newcombe, 1998, table I
        (15, 148, 0.0624, 0.1605),  # the same
        (190, 200, 0.9104, 0.9726),
    ],
)
def test_wilson_is_what_the_tables_say(successes, n, low, high):
    assert wilson(successes, n) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (3, 2), (-1, 5)])
def test_no_interval_without_a_trial(successes, n):
    with pytest.raises(ValueError, match="trials"):
        wilson(successes, n)


def test_entropy_of_even_use_is_one_and_of_a_single_way_zero():
    assert behaviour_entropy(EVEN, 24) == pytest.approx((1.0, 1.0))
    assert behaviour_entropy([5] * 30, 24) == (0.0, 0.0)
    assert behaviour_entropy([0, 1] * 7, 4).zero == pytest.approx(0.5)
    p = np.array([0.5, 0.25, 0.25])
    assert behaviour_entropy([0, 0, 1, 2], 3).zero == pytest.approx(-(p * np.log(p)).sum() / log(3))


def test_entropy_counts_successes_only():
    assert behaviour_entropy([0, None, 1, None, None], 2) == pytest.approx((1.0, 1.0))


def test_a_context_without_success_counts_zero_or_not_at_all():
    ways, contexts = [0, 1, None, None, 3, 3], [7, 7, 8, 8, 9, 9]
    assert behaviour_entropy(ways, 4, contexts) == pytest.approx((0.5 / 3, 0.5 / 2))
    assert behaviour_entropy([None, None], 4) == (0.0, None)


@pytest.mark.parametrize(
    ("ways", "n_modes", "contexts"),
    [([], 4, None), ([4], 4, None), ([0], 1, None), ([0], 4, [1, 2])],
)
def test_entropy_of_nonsense_is_refused(ways, n_modes, contexts):
    with pytest.raises(ValueError):
        behaviour_entropy(ways, n_modes, contexts)


def test_a_mode_is_covered_from_two_successes_on():
    ways = [3, None, 3, 5, None, 0, 0, 0]
    assert (modes_taken(ways), modes_covered(ways)) == (3, 2)
    assert (modes_taken([None]), modes_covered([None, None])) == (0, 0)


@pytest.mark.parametrize("figure", ["success", "entropy"])
def test_a_policy_is_equal_to_itself_and_to_its_like(figure):
    same = equal_to_teacher([Pair(EVEN, EVEN, 24)], figure, 1.0, seed=0)
    assert same == (True, 1.0, (1.0,), ((0.0, 0.0),))
    like = equal_to_teacher([Pair(EVEN, shuffled(EVEN, 1), 24)], figure, 0.97, seed=0)
    assert like.equal and like.differences[0].lower >= -0.05


def test_success_is_the_difference_of_rates():
    student = [None if i % 10 == 0 else way for i, way in enumerate(EVEN)]
    result = equal_to_teacher([Pair(student, EVEN, 24)], "success", 0.9, seed=0)
    assert result.mean_ratio == pytest.approx(0.9)
    assert result.differences[0].mean == pytest.approx(-0.1)
    # the difference is a mean of 240 trials with p = 0.1
    assert result.differences[0].lower == pytest.approx(
        -0.1 - 1.645 * (0.09 / 240) ** 0.5, abs=3e-3
    )
    assert not result.equal


def test_a_student_that_forgot_half_the_ways_is_not_equal():
    student = [way % 12 for way in EVEN]
    result = equal_to_teacher([Pair(student, EVEN, 24)], "entropy", 0.95, seed=0)
    assert result.mean_ratio == pytest.approx(log(12) / log(24))
    assert not result.equal
    assert equal_to_teacher([Pair(student, EVEN, 24)], "success", 1.0, seed=0).equal


def test_a_deficit_of_exactly_5_percent_is_allowed():
    """With one rollout in each context, every resample is the rollouts themselves."""
    student = [None, *EVEN[1:20]]
    pair = Pair(student, EVEN[:20], 24, range(20))
    result = equal_to_teacher([pair], "success", 0.95, seed=0)
    assert result.differences[0] == pytest.approx((-0.05, -0.05))
    assert result.equal


def test_one_task_that_fails_is_not_made_up_for_by_the_others():
    worse = [None if i % 8 == 0 else way for i, way in enumerate(EVEN)]
    tasks = [Pair(EVEN, EVEN, 24)] * 9 + [Pair(worse, EVEN, 24)]
    result = equal_to_teacher(tasks, "success", 0.97, seed=0)
    assert result.mean_ratio == pytest.approx(0.9875) and not result.equal
    assert result.ratios[-1] == pytest.approx(0.875)


def test_resampling_stays_within_contexts():
    """Each context has one way of its own: any resample within contexts has entropy 0 in all."""
    ways, contexts = [0] * 5 + [1] * 5, [0] * 5 + [1] * 5
    result = equal_to_teacher([Pair(ways, [0, 1] * 5, 2, contexts)], "entropy", 1.0, seed=0)
    assert result.ratios == (0.0,)
    one_context = equal_to_teacher([Pair(ways, [0, 1] * 5, 2)], "entropy", 1.0, seed=0)
    assert one_context.ratios == (1.0,)


def test_nothing_is_equal_to_a_teacher_that_never_succeeds():
    result = equal_to_teacher([Pair([0, 1], [None, None], 2)], "success", 0.0, seed=0)
    assert (result.equal, result.mean_ratio, result.ratios) == (False, None, (None,))


def test_a_task_with_a_single_mode_has_success_but_no_entropy():
    pair = Pair([0, 0, None], [0, 0, 0], 1)
    assert equal_to_teacher([pair], "success", 0.5, seed=0).ratios == (pytest.approx(2 / 3),)
    with pytest.raises(ValueError, match="single mode"):
        equal_to_teacher([pair], "entropy", 0.5, seed=0)


def test_rollouts_without_partners_are_refused():
    with pytest.raises(ValueError, match="no pairs"):
        equal_to_teacher([Pair([0, 1], [0], 2)], "success", 0.9, seed=0)
