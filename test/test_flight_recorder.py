"""The last seconds of a run, kept in memory and saved when it stops unasked."""

from __future__ import annotations

import shutil
from collections import namedtuple

import numpy as np
import pytest

from vdd_ros import flight_recorder
from vdd_ros.bag import Topic, read_bag
from vdd_ros.cdr import joints_cdr
from vdd_ros.errors import UserError
from vdd_ros.flight_recorder import AFTERMATH_NS, SILENT_NS, FlightRecorder

S = 1_000_000_000
START_NS = 1_700_000_000 * S  # of the ROS clock
E_STOP = Topic("/e_stop", "std_msgs/msg/Bool", has_header=False)
PRESSED = bytes([0, 1, 0, 0, 1])


@pytest.fixture
def recorder(contract, tmp_path) -> FlightRecorder:
    return FlightRecorder(contract, {"e_stop": E_STOP}, tmp_path / "flights", 3.0, 0)


def tell(recorder: FlightRecorder, second: float) -> None:
    """Joints and a command at a time [s]."""
    at_ns = round(second * S)
    for name in ("joint_state", "robot_command"):
        stream = recorder.contract.streams[name]
        position = np.full(recorder.contract.n_joints, second)
        data = joints_cdr(stream, recorder.contract, position, START_NS + at_ns)
        recorder.add(name, data, START_NS + at_ns, at_ns)


def run(recorder: FlightRecorder, until: int) -> None:
    """Ten times a second: joints, a command and the word that the run goes on."""
    for tenth in range(10 * until + 1):
        tell(recorder, tenth / 10)
        recorder.hear("", tenth * S // 10, tenth * S // 10)


def test_the_last_seconds_of_every_stream_are_saved_with_what_follows_the_stop(recorder):
    run(recorder, 10)
    recorder.add("e_stop", PRESSED, START_NS + 10 * S, 10 * S)
    recorder.hear("E_STOP", 10 * S, 10 * S)
    assert recorder.due(10 * S) is None and recorder.pending == "E_STOP"
    tell(recorder, 11.0)
    assert recorder.due(10 * S + AFTERMATH_NS) == "E_STOP"
    folder = recorder.save("E_STOP", "20260101T000000Z")
    assert folder.name == "20260101T000000Z_e-stop"
    assert sorted(path.name for path in folder.iterdir()) == [
        f"{folder.name}_0.mcap", "metadata.yaml",
    ]  # fmt: skip
    found = read_bag(folder / f"{folder.name}_0.mcap")
    assert found.damage is None and found.contract == recorder.contract
    joints = [one for one in found.messages if one.stream == "joint_state"]
    commands = [one for one in found.messages if one.stream == "robot_command"]
    assert [one.received_ns for one in joints] == [one.received_ns for one in commands]
    assert joints[0].received_ns == START_NS + 8 * S  # three seconds before the last message
    assert joints[-1].received_ns == START_NS + 11 * S
    assert b"/e_stop" in (folder / "metadata.yaml").read_bytes()


def test_a_stop_is_saved_once_and_the_next_run_anew(recorder):
    run(recorder, 1)
    recorder.hear("E_STOP", 1 * S, 1 * S)
    assert recorder.due(3 * S) == "E_STOP"
    recorder.save("E_STOP", "one")
    recorder.hear("E_STOP", 4 * S, 4 * S)
    assert recorder.due(9 * S) is None
    recorder.hear("", 10 * S, 10 * S)
    recorder.hear("NOT_FINITE", 11 * S, 11 * S)
    assert recorder.due(14 * S) == "NOT_FINITE"


def test_the_first_reason_stays(recorder):
    run(recorder, 1)
    recorder.hear("JOINTS_STALE", 1 * S, 1 * S)
    recorder.hear("DEACTIVATED", 2 * S, 2 * S)
    assert recorder.due(4 * S) == "JOINTS_STALE"


def test_a_run_that_was_ended_is_not_saved(recorder):
    run(recorder, 1)
    recorder.hear("DEACTIVATED", 1 * S, 1 * S)
    assert recorder.due(30 * S) is None and recorder.pending is None


def test_a_run_without_a_last_word_is_saved(recorder):
    run(recorder, 1)
    assert recorder.due(1 * S + SILENT_NS) is None
    assert recorder.due(2 * S + SILENT_NS) is None  # known now; what follows is waited for
    assert recorder.due(2 * S + SILENT_NS + AFTERMATH_NS) == "policy state silent"


def test_nothing_is_due_before_anything_ran(recorder):
    tell(recorder, 0.0)
    assert recorder.due(100 * S) is None
    recorder.hear("E_STOP", 101 * S, 102 * S)  # of a run that ended before one listened
    assert recorder.due(200 * S) is None


def test_a_run_that_stops_before_it_has_told_anything_is_saved(recorder):
    """What it says of itself comes ten times a second; the joints and commands are there."""
    tell(recorder, 5.0)
    recorder.hear("FAR_FROM_START", 5 * S, S // 20)
    recorder.hear("FAR_FROM_START", 5 * S + S // 10, S // 20 + S // 10)
    assert recorder.due(5 * S + AFTERMATH_NS) == "FAR_FROM_START"
    recorder.save("FAR_FROM_START", "one")
    for tenth in range(60, 90):  # it goes on saying so until it is deactivated
        recorder.hear("FAR_FROM_START", tenth * S // 10, (tenth - 50) * S // 10)
    assert recorder.due(20 * S) is None
    recorder.hear("E_STOP", 9 * S, S // 20)  # a second run, at once and stopped at once
    assert recorder.due(9 * S + AFTERMATH_NS) == "E_STOP"


def test_a_policy_that_fails_while_a_leader_drives_is_saved_once(recorder):
    """The run goes on; what stops it later is another flight."""
    run(recorder, 1)
    for tenth in range(10, 40):
        recorder.hear("", tenth * S // 10, tenth * S // 10, "NOT_FINITE")
    assert recorder.due(4 * S) == "NOT_FINITE" and recorder.running
    recorder.save("NOT_FINITE", "one")
    recorder.hear("", 4 * S, 4 * S, "NOT_FINITE")
    assert recorder.due(5 * S) is None and recorder.pending is None
    recorder.hear("SOURCE_SILENT", 10 * S, 10 * S, "NOT_FINITE")
    assert recorder.due(13 * S) == "SOURCE_SILENT"
    recorder.save("SOURCE_SILENT", "two")
    recorder.hear("", 20 * S, S // 20)  # a new run
    recorder.hear("", 21 * S, S, "NOT_FINITE")
    assert recorder.due(24 * S) == "NOT_FINITE"


def test_one_that_is_ended_before_it_has_told_anything_is_not(recorder):
    tell(recorder, 5.0)
    recorder.hear("DEACTIVATED", 5 * S, S // 20)
    assert recorder.due(30 * S) is None


def test_no_two_flights_have_one_name(recorder):
    run(recorder, 1)
    names = [recorder.save("asked for", "now").name for _ in range(3)]
    assert names == ["now_asked-for", "now_asked-for-2", "now_asked-for-3"]


def test_more_than_there_is_memory_for_is_counted(recorder, monkeypatch):
    tell(recorder, 0.0)
    monkeypatch.setattr(flight_recorder, "MOST_BYTES", 3 * recorder.kept_bytes)
    run(recorder, 1)
    assert recorder.lost > 0 and recorder.kept_bytes <= flight_recorder.MOST_BYTES
    assert recorder.kept_s < 1.0


def test_a_clock_that_is_set_back_loses_nothing(recorder):
    run(recorder, 1)
    data = joints_cdr(
        recorder.contract.streams["joint_state"], recorder.contract, np.zeros(7), START_NS - S
    )
    recorder.add("joint_state", data, START_NS - S, S + 1)
    folder = recorder.save("CLOCK_BACK", "now")
    found = read_bag(folder / f"{folder.name}_0.mcap").messages
    assert len(found) == 23 and found[-1].received_ns == START_NS - S


def test_nothing_heard_is_told(recorder):
    with pytest.raises(UserError, match="no message came on any stream"):
        recorder.save("asked for", "now")
    assert not recorder.folder.exists()


def test_a_full_disk_is_told_and_nothing_is_half_written(recorder, monkeypatch):
    run(recorder, 1)
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1 << 20))
    with pytest.raises(UserError, match="only 1 MiB are free .*make room"):
        recorder.save("E_STOP", "now")
    monkeypatch.undo()

    def full(*_) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vdd_ros.bag.BagWriter.write", full)
    with pytest.raises(OSError, match="No space left"):
        recorder.save("E_STOP", "now")
    assert list(recorder.folder.iterdir()) == []
    monkeypatch.undo()
    assert recorder.save("E_STOP", "now").exists()
