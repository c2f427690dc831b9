"""Still poses: an arm that stands is told from one that creeps, and each place counts once."""

from __future__ import annotations

import numpy as np
from recordings import CONTRACT, HOME, SECOND

from vdd_ros.calibration.still import StillWatch

MS = 1_000_000


def shown(watch: StillWatch, begin_ns: int, seconds: float, position) -> int:
    for tick in range(int(200 * seconds)):
        stamp_ns = begin_ns + 5 * MS * tick
        watch.see(stamp_ns, position(stamp_ns))
    return stamp_ns


def test_a_pose_counts_once_it_has_lasted_and_once_only():
    rng, watch = np.random.default_rng(0), StillWatch(CONTRACT)
    noise = lambda _: HOME + rng.normal(0.0, 1e-4, 7)  # noqa: E731
    now = shown(watch, SECOND, 0.4, noise)
    assert watch.still is None
    now = shown(watch, now + 5 * MS, 0.4, noise)
    found = watch.still_elsewhere
    assert found.since_ns == SECOND and found.until_ns == now
    np.testing.assert_allclose(found.position, HOME, atol=5e-5)
    watch.take(found)
    assert watch.still is not None and watch.still_elsewhere is None
    now = shown(watch, now + 5 * MS, 1.0, lambda t: HOME + 0.3 * (t - now) * 1e-9)
    assert watch.still is None
    there = HOME + 0.3
    shown(watch, now + 5 * MS, 0.7, lambda _: there)
    np.testing.assert_allclose(watch.still_elsewhere.position, there)


def test_creeping_is_not_standing():
    watch = StillWatch(CONTRACT)
    shown(watch, SECOND, 5.0, lambda t: HOME + 0.02 * (t - SECOND) * 1e-9)
    assert watch.still is None


def test_stamps_that_go_back_are_not_seen():
    watch = StillWatch(CONTRACT)
    now = shown(watch, SECOND, 0.7, lambda _: HOME)
    watch.see(SECOND, HOME + 1.0)
    assert watch.still.until_ns == now
