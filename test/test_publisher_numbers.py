"""Gaps in the numbers that publishers give their messages."""

from __future__ import annotations

from recordings import CONTRACT, SECOND, STARTED, array_cdr, feed, position_at

from vdd_ros.demo_recorder import DemoRecorder
from vdd_ros.episode import EpisodeStore
from vdd_ros.fitness import judged_anew
from vdd_ros.publisher_numbers import Origin, PublisherNumbers

ONE, OTHER = b"one", b"other"


def counted(*came: tuple[bytes, int]) -> int:
    numbers = PublisherNumbers()
    for publisher, number in came:
        numbers.note("x", Origin(publisher, number))
    return numbers.missing.get("x", 0)


def test_every_number_that_was_left_out_is_missing():
    assert counted((ONE, 7), (ONE, 8), (ONE, 9)) == 0, "what was before is nobody's loss"
    assert counted((ONE, 7), (ONE, 10)) == 2
    assert counted((ONE, 7), (ONE, 10), (ONE, 13)) == 4
    assert counted((ONE, 7), (OTHER, 900), (ONE, 8), (OTHER, 901)) == 0, "each has its own"


def test_who_was_overtaken_is_not_missing():
    assert counted((ONE, 1), (ONE, 3), (ONE, 2), (ONE, 4)) == 0
    assert counted((ONE, 1), (ONE, 1), (ONE, 2)) == 0, "nor does a second one make up for any"


def test_what_is_missing_is_in_the_verdict_and_the_manifest(tmp_path):
    recorder = DemoRecorder(CONTRACT, tmp_path, "episode", "avoid")
    recorder.start(SECOND, STARTED)
    feed(recorder, SECOND, 0.5)
    data = array_cdr(position_at(SECOND))
    for number in (5, 9):
        recorder.add("robot_command", data, SECOND + SECOND // 2, Origin(ONE, number))
    recorder.add_lost("robot_command", 2)
    end_ns = SECOND + SECOND // 2
    told = recorder.stop(end_ns)
    assert "robot_command lost 2 messages on the way (WARN)" in told
    assert "robot_command lacks 3 messages that its publishers counted (WARN)" in told
    recorder.save(end_ns)
    episode = EpisodeStore(tmp_path).load("episode_0001")
    assert episode.manifest.streams["robot_command"].missing == 3
    assert "lacks 3 messages" in str(judged_anew(episode))
    recorder.start(end_ns, STARTED)
    recorder.add("robot_command", data, end_ns, Origin(ONE, 20))
    assert "lacks" not in recorder.stop(2 * SECOND), "what came between two episodes is in neither"
