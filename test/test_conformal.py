"""Thresholds keep their false-alarm rate: in closed form, and counted in simulated episodes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta, binomtest

from vdd_ros.conformal import RunningMean, conformal_threshold, episode_scores


def threshold_of(scores, rate=0.05, scene=None):
    scores = np.asarray(scores, dtype=float)
    return conformal_threshold(scores, np.arange(len(scores)) if scene is None else scene, rate)


@pytest.mark.parametrize(
    ("episodes", "rate", "rank"), [(19, 0.05, 19), (99, 0.05, 95), (48, 0.05, 47), (99, 0.1, 90)]
)
def test_it_is_the_kth_smallest_score(episodes, rate, rank):
    scores = np.random.default_rng(0).permutation(episodes) + 1.0
    found = threshold_of(scores, rate)
    assert found.value == rank == np.ceil((episodes + 1) * (1 - rate) - 1e-9)
    assert found.false_alarm_rate == pytest.approx(1 - rank / (episodes + 1))
    assert found.false_alarm_rate <= rate + 1e-12
    assert (found.episodes, found.scenes) == (episodes, episodes)


def test_with_few_episodes_the_rate_is_the_smallest_possible_and_said():
    found = threshold_of([3.0, 1.0, 2.0, 5.0, 4.0], 0.05)
    assert found.value == 5.0 and found.false_alarm_rate == pytest.approx(1 / 6)


@pytest.mark.parametrize("scores", [[], [1.0], [1.0, 2.0, 3.0]])
def test_with_too_few_episodes_there_is_none(scores):
    assert threshold_of(scores) is None


def test_episodes_of_one_scene_count_as_one():
    assert threshold_of(np.arange(400.0), scene=np.zeros(400)) is None
    found = threshold_of(np.arange(76.0), scene=np.arange(76) // 4)
    assert found.scenes == 19 and found.value == 75.0
    assert found.false_alarm_rate == pytest.approx(0.05)


def test_scenes_weigh_alike_however_many_episodes_they_have():
    """By hand: each of 3 scenes weighs 1/4, the scores 1 to 4 in order 1/8, 1/4, 1/4 and 1/8."""
    found = threshold_of([1.0, 4.0, 2.0, 3.0], 0.5, np.array([0, 0, 1, 2]))
    assert found.value == 3.0 and found.false_alarm_rate == 0.5
    assert threshold_of([1.0, 4.0, 2.0, 3.0], 0.7, np.array([0, 0, 1, 2])).value == 2.0


def false_alarm_rates(episodes: int, rate: float, trials: int, scenes=None) -> np.ndarray:
    """(trials,) of one episode more each, where scores of a scene resemble each other."""
    rng = np.random.default_rng(7)
    count = episodes if scenes is None else scenes
    scene = np.arange(episodes) % count
    found = []
    for _ in range(trials):
        of_scene = 3.0 * rng.standard_normal(count + 1)
        scores = of_scene[scene] + rng.standard_normal(episodes)
        threshold = conformal_threshold(scores, scene, rate)
        found.append(of_scene[-1] + rng.standard_normal() > threshold.value)
    return np.array(found)


@pytest.mark.parametrize("episodes", [19, 48, 99])
def test_the_rate_is_as_stated_over_many_calibrations(episodes):
    """Neither above nor far below: the interval is of 99.9 %."""
    stated = threshold_of(np.arange(episodes)).false_alarm_rate
    alarms = false_alarm_rates(episodes, 0.05, 4000)
    low, high = binomtest(int(alarms.sum()), len(alarms)).proportion_ci(0.999)
    assert low <= stated <= high


def test_the_rate_holds_for_a_further_scene_where_episodes_of_a_scene_are_alike():
    alarms = false_alarm_rates(80, 0.1, 3000, scenes=20)
    assert binomtest(int(alarms.sum()), len(alarms), 0.1, "greater").pvalue > 1e-3


def test_taking_such_episodes_for_independent_would_not_hold():
    """What the test above would find if scenes were forgotten."""
    rng = np.random.default_rng(8)
    found = []
    for _ in range(3000):
        of_scene = 3.0 * rng.standard_normal(6)
        scores = of_scene[np.arange(80) % 5] + rng.standard_normal(80)
        found.append(of_scene[-1] + rng.standard_normal() > threshold_of(scores).value)
    assert binomtest(int(np.sum(found)), len(found), 0.05, "greater").pvalue < 1e-6


def test_of_one_calibration_set_the_rate_is_beta_distributed():
    """Uniform scores, so that the rate of a threshold is known without counting."""
    rng = np.random.default_rng(9)
    rates = 1.0 - np.array([threshold_of(rng.random(48)).value for _ in range(4000)])
    expected = beta(48 + 1 - 47, 47)
    np.testing.assert_allclose(
        np.quantile(rates, [0.1, 0.5, 0.9]), expected.ppf([0.1, 0.5, 0.9]), rtol=0.06
    )


def test_a_running_mean_forgets():
    running = RunningMean(3)
    assert [running.add(value) for value in (3.0, 1.0, 2.0, 9.0)] == [3.0, 2.0, 2.0, 4.0]


def test_a_score_is_the_largest_running_mean_of_its_own_episode():
    values = np.array([0.0, 6.0, 0.0, 8.0, 1.0, 1.0])
    np.testing.assert_array_equal(
        episode_scores(values, np.array([4, 4, 4, 1, 1, 1]), 2), [8.0, 3.0]
    )
