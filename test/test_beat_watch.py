"""Whether another thread goes on, told by who goes on himself."""

from vdd_ros.beat_watch import BeatWatch

MS = 1_000_000


def test_it_tells_for_how_long_the_other_has_stood_still():
    watch = BeatWatch(20 * MS)
    for count in range(5):
        watch.see(count, 10 * MS * count)
        assert watch.still_ns == 0
    for count in range(5, 15):
        watch.see(4, 10 * MS * count)
    assert watch.still_ns == 100 * MS
    watch.see(5, 150 * MS)
    assert watch.still_ns == 0


def test_a_process_that_stood_still_as_a_whole_has_not_seen_the_other_stand():
    watch = BeatWatch(20 * MS)
    watch.see(1, 0)
    watch.see(1, 10 * MS)
    watch.see(1, 5_010 * MS)
    assert watch.still_ns == 30 * MS
