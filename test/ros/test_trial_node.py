"""What trial_node counts of the commands it hears."""

import numpy as np
import pytest

from vdd_ros.nodes.trial_node import Arrivals

MS = 1_000_000


def test_intervals_are_within_runs_and_repeats_are_counted():
    arrivals = Arrivals()
    arrivals.take((0.0,), 0)  # before the first run: not counted
    for begin_ns in (1000 * MS, 9000 * MS):
        arrivals.open()
        for number, value in enumerate((1.0, 2.0, 2.0, 3.0)):
            arrivals.take((value,), begin_ns + 10 * MS * number)
        arrivals.close()
        arrivals.take((3.0,), begin_ns + 500 * MS)
    np.testing.assert_allclose(arrivals.interval_ms(), [10.0] * 6)
    assert arrivals.rate_hz() == pytest.approx(100.0)
    assert (arrivals.count, arrivals.repeated) == (8, 2)


def test_a_new_run_does_not_repeat_the_last_one():
    arrivals = Arrivals()
    for begin_ns in (0, 100 * MS):
        arrivals.open()
        arrivals.take((1.0,), begin_ns)
        arrivals.close()
    assert arrivals.repeated == 0
    assert arrivals.rate_hz() == 0.0
