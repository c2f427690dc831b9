"""Simulated time waits for answers, but not for an arm that nobody drives."""

from __future__ import annotations

import numpy as np
import pytest

from vdd_ros.sim.demonstrators.schedule import balanced_ways, scene_of
from vdd_ros.sim.lockstep import Lockstep


def test_time_goes_on_while_nobody_commands():
    lockstep = Lockstep(timeout_s=0.1)
    for now_s in np.arange(0.0, 1.0, 0.01):
        lockstep.tick_sent(now_s)
        assert lockstep.may_go_on(now_s)
    assert lockstep.unanswered == 0


def test_after_a_command_each_tick_waits_for_its_answer():
    lockstep = Lockstep(timeout_s=0.1)
    assert not lockstep.answered()  # the first one was not waited for
    for now_s in (1.0, 1.05, 1.1):
        lockstep.tick_sent(now_s)
        assert not lockstep.may_go_on(now_s + 0.04)
        assert lockstep.answered()
        assert lockstep.may_go_on(now_s + 0.04)


def test_a_second_command_within_a_tick_does_not_push_time():
    lockstep = Lockstep(timeout_s=0.1)
    lockstep.answered()
    lockstep.tick_sent(1.0)
    assert lockstep.answered()
    assert not lockstep.answered()


def test_one_missing_answer_ends_the_waiting_until_the_next_command():
    lockstep = Lockstep(timeout_s=0.1)
    lockstep.answered()
    lockstep.tick_sent(1.0)
    assert lockstep.may_go_on(1.1)
    assert lockstep.unanswered == 1
    lockstep.tick_sent(1.2)
    assert lockstep.may_go_on(1.2)
    lockstep.answered()
    lockstep.tick_sent(1.3)
    assert not lockstep.may_go_on(1.3)


@pytest.mark.parametrize("episodes", [1, 24, 50, 200])
def test_ways_are_balanced_at_every_moment_and_decided_by_the_seed(episodes):
    ways = balanced_ways(np.random.default_rng(5), 24, episodes)
    assert len(ways) == episodes
    for end in range(1, episodes + 1):
        counts = np.bincount(ways[:end], minlength=24)
        assert counts.max() - counts.min() <= 1
    assert ways == balanced_ways(np.random.default_rng(5), 24, episodes)


def test_rounds_are_shuffled_anew():
    ways = balanced_ways(np.random.default_rng(5), 24, 72)
    assert ways[:24] != ways[24:48] != ways[48:]
    assert ways[:24] != sorted(ways[:24])


@pytest.mark.parametrize(
    ("n_ways", "in_a_scene"), [(2, 2), (3, 3), (4, 4), (6, 3), (20, 4), (24, 4)]
)
def test_a_scene_is_shown_in_different_ways(n_ways, in_a_scene):
    ways = balanced_ways(np.random.default_rng(5), n_ways, 3 * n_ways)
    scenes = [scene_of(episode, n_ways) for episode in range(len(ways))]
    assert np.bincount(scenes).tolist() == [in_a_scene] * (len(ways) // in_a_scene)
    assert len({*zip(scenes, ways, strict=True)}) == len(ways)
