"""How fast a disk fills, and when a recording has to end."""

from __future__ import annotations

import pytest

from vdd_ros.disk_watch import RESERVE_S, DiskWatch, Look

SECOND = 1_000_000_000
MB, LEAST = 1_000_000, 100_000_000


def watched(written, free=lambda second: 10_000 * MB, seconds: int = 20) -> DiskWatch:
    """A watch that looked once a second."""
    watch = DiskWatch(LEAST)
    for second in range(seconds + 1):
        watch.note(Look(second * SECOND, written(second), free(second)))
    return watch


def test_before_there_is_a_rate_the_reserve_is_what_was_set():
    watch = DiskWatch(LEAST)
    assert (watch.rate, watch.reserve, watch.least_to_begin) == (0.0, LEAST / 2, LEAST)
    assert watch.seconds(LEAST) is None
    watch.note(Look(0, 0, LEAST))
    watch.note(Look(SECOND - 1, 50 * MB, LEAST))
    assert watch.rate == 0.0, "of so short a time nothing is told"


def test_reserve_and_time_left_are_those_of_the_rate():
    watch = watched(lambda second: 50 * MB * second)
    assert watch.rate == pytest.approx(50 * MB)
    assert watch.reserve == pytest.approx(RESERVE_S * 50 * MB)
    assert watch.seconds(2000 * MB) == pytest.approx((2000 - RESERVE_S * 50) / 50)
    assert watch.seconds(100 * MB) == 0.0


def test_the_rate_is_that_of_the_last_seconds():
    watch = watched(lambda second: MB * second if second <= 10 else MB * (10 + 80 * (second - 10)))
    assert watch.rate == pytest.approx(80 * MB)


def test_whoever_else_writes_to_the_disk_counts_as_long_as_it_does():
    watch = watched(lambda second: MB * second, lambda second: 10_000 * MB - 60 * MB * second)
    assert watch.rate == pytest.approx(60 * MB)
    watch.begin()
    assert watch.least_to_begin == LEAST and watch.rate == pytest.approx(MB)
    assert watched(lambda second: 0, lambda second: MB * second).rate == 0.0, "room was made"


def test_the_next_recording_is_expected_to_be_like_the_one_before():
    watch = watched(lambda second: 50 * MB * second)
    watch.begin()
    assert watch.least_to_begin == pytest.approx(2 * RESERVE_S * 50 * MB)
