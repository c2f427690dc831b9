"""The bench that kills recorders: it finds what is lost, and nothing of ours is."""

from __future__ import annotations

import json
import shutil

import pytest
from recordings import CONTRACT, SECOND, STARTED, feed, record

from vdd_ros.bag import RawMessage, read_bag
from vdd_ros.commands.bench import recorder_kill
from vdd_ros.demo_recorder import DemoRecorder
from vdd_ros.errors import UserError
from vdd_ros.manifest import Manifest


@pytest.fixture
def log(tmp_path):
    """Writes what a session says, and gives the file."""

    def write(*lines: dict):
        path = tmp_path / "log"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"what": "to')
        return path

    return write


def joints_in(recorder: DemoRecorder) -> list[RawMessage]:
    """What has come to the disk so far."""
    name = recorder.name
    return read_bag(recorder.folder / f".part-{name}" / f"{name}_0.mcap").messages


def said(folder, name: str) -> dict:
    files = {file: one.sha256 for file, one in Manifest.read(folder / name).files.items()}
    return {"what": "saved", "name": name, "files": files}


def test_what_is_lost_and_what_is_altered_is_found(tmp_path, log):
    folder = tmp_path / "demos"
    names = [record(folder, seconds=0.1) for _ in range(3)]
    path = log(*(said(folder, name) for name in names), {"what": "saved", "name": "x", "files": {}})
    recording = folder / names[1] / f"{names[1]}_0.mcap"
    recording.write_bytes(recording.read_bytes()[:-1])
    found = recorder_kill.look(folder, path, 0)
    assert (found.saved, found.lost, found.altered) == (4, 1, 1)
    assert found.phase == "between episodes"


def test_only_what_came_since_the_last_beginning_is_in_flight():
    began, took = {"what": "began", "name": "a"}, {"what": "took", "name": "a"}
    told = [began, took | {"ns": 1}, {"what": "discarding", "name": "a"}, began, took | {"ns": 2}]
    assert recorder_kill.unfinished(told) == ({"a": [2]}, {}, "recording")
    told.append({"what": "stopping", "name": "a"})
    assert recorder_kill.unfinished(told) == ({"a": [2]}, {}, "stopping")
    told.append({"what": "saved", "name": "a"})
    assert recorder_kill.unfinished(told) == ({}, {}, "between episodes")


def test_what_could_not_be_saved_counts_until_the_end():
    told = [{"what": "began", "name": "a"}, {"what": "took", "name": "a", "ns": 1}]
    told.append({"what": "failed", "name": "a"})
    assert recorder_kill.unfinished(told) == ({}, {"a": [1]}, "between episodes")
    told += [{"what": "began", "name": "b"}, {"what": "took", "name": "b", "ns": 2}]
    assert recorder_kill.unfinished(told) == ({"b": [2]}, {"a": [1]}, "recording")


@pytest.mark.parametrize("destroyed", [True, False])
def test_messages_of_what_could_not_be_saved_are_looked_for(tmp_path, log, destroyed):
    """They would not be found where somebody had discarded them."""
    recorder = DemoRecorder(CONTRACT, tmp_path / "demos", "episode", "avoid")
    recorder.start(SECOND, STARTED)
    feed(recorder, SECOND, 2.0)
    recorder.guard(3 * SECOND)
    recorder._files.fault = "writing failed: Input/output error"
    taken_ns = [one.received_ns for one in joints_in(recorder)]
    with pytest.raises(UserError):
        recorder.stop(3 * SECOND)
    if destroyed:
        shutil.rmtree(tmp_path / "demos" / ".quarantine")
    names = {"name": "episode_0001"}
    took = [{"what": "took", **names, "ns": at_ns} for at_ns in taken_ns]
    path = log({"what": "began", **names}, *took, {"what": "failed", **names})
    found = recorder_kill.look(tmp_path / "demos", path, 99 * SECOND)
    assert (found.set_aside, found.refused) == (1, 1) and 350 < found.old < 450
    assert found.recovered == (0 if destroyed else found.old)


@pytest.mark.parametrize("fault", ["none", "fsync"])
def test_nothing_of_a_killed_recorder_is_lost(fault, contract_path):
    result = recorder_kill.main(recorder_kill.Args(2, fault, contract_path, seed=3))
    assert result["ok"] and result["times"] == sum(result["killed_while"].values()) == 2
    assert (result["saved_lost"], result["saved_altered"]) == (0, 0)


def test_what_cannot_be_killed_is_told(tmp_path):
    with pytest.raises(UserError, match="times is 0"):
        recorder_kill.main(recorder_kill.Args(0))
    with pytest.raises(UserError, match="no contract"):
        recorder_kill.main(recorder_kill.Args(1, contract=tmp_path / "none.yaml"))
