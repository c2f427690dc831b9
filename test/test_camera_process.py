"""Who writes pictures, seen from who records joints: processes that do not do as they should."""

from __future__ import annotations

import sys
import threading
import time

import pytest
from pictures import contract_with

from vdd_ros import camera_process
from vdd_ros.camera_process import CameraProcess
from vdd_ros.errors import UserError
from vdd_ros.manifest import FileSummary

# what a process does with each word it hears; what is said to it is on its standard input
OBEDIENT = """
import json, socket, sys
mine = socket.socket(fileno=0)
contract = json.loads(mine.recv(1 << 20))
mine.send(json.dumps({"ready": True, "received": {"front": 7}}).encode())
while words := mine.recv(1 << 20):
    words = json.loads(words)
    %s
"""
ANSWER = """mine.send(json.dumps({
        "done": None, "lost": {"front": 2}, "missing": {"front": 3}, "fault": None,
        "summary": {"bytes": 3, "sha256": "ab"},
    }).encode())"""


class Complaints(list):
    """What was complained of, from whatever thread, to be waited for."""

    def __init__(self):
        super().__init__()
        self.come = threading.Event()

    def __call__(self, why: str) -> None:
        self.append(why)
        self.come.set()


@pytest.fixture
def process():
    """Gives a process that runs a program; all are ended."""
    made = []

    def start(program: str) -> tuple[CameraProcess, Complaints]:
        complaints = Complaints()
        one = CameraProcess([sys.executable, "-c", program], contract_with(), complaints)
        made.append(one)
        one.begin()
        return one, complaints

    yield start
    for one in made:
        one.close()


def test_words_are_answered_and_counts_are_told(process, tmp_path):
    one, complaints = process(OBEDIENT % ANSWER)
    assert one.wait_ready() and one.received == {"front": 7}
    one.start(tmp_path, "episode_0001")
    assert one.stop() == ({"front": 2}, None, {"front": 3})
    assert one.summary() == FileSummary(bytes=3, sha256="ab")
    one.abort()
    one.close()
    assert complaints == [] and one.has_ended, "who is asked to go does not end by itself"


def test_one_that_ends_is_known_at_once_and_another_is_begun(process, tmp_path):
    one, complaints = process(OBEDIENT % f"{ANSWER}; sys.exit(3) if 'stop' in words else None")
    assert one.wait_ready()
    one.start(tmp_path, "episode_0001")
    one.stop()
    assert complaints.come.wait(30.0)
    why = "the process that writes them ended (exit code 3)"
    assert complaints == [why] and one.fault == why
    assert one.stop().fault == why
    one.abort()  # of what is not there any more there is nothing to let go of
    with pytest.raises(UserError, match="not ready yet: start again in a few seconds"):
        one.start(tmp_path, "episode_0002")
    assert one.wait_ready()
    one.start(tmp_path, "episode_0002")
    assert one.fault is None, "what became of the one before is no fault of this recording"


def test_one_that_never_begins_is_told(process):
    one, complaints = process("import sys; sys.exit(2)")
    assert not one.wait_ready()
    assert complaints.come.wait(30.0) and "exit code 2" in one.fault


def test_one_that_refuses_says_why(process, tmp_path):
    refuse = 'mine.send(json.dumps({"done": "No space left on device"}).encode())'
    one, _ = process(OBEDIENT % refuse)
    assert one.wait_ready()
    with pytest.raises(UserError, match="pictures cannot be written: No space left on device"):
        one.start(tmp_path, "episode_0001")


def test_one_that_says_nothing_is_ended(process, tmp_path, monkeypatch):
    monkeypatch.setattr(camera_process, "ANSWER_S", 0.2)
    one, complaints = process(OBEDIENT % "pass")
    assert one.wait_ready()
    with pytest.raises(UserError, match="said nothing in 0.2 s"):
        one.start(tmp_path, "episode_0001")
    assert one.has_ended and complaints.come.wait(30.0)


def test_what_it_says_unasked_is_taken_in_when_there_is_time(process):
    tell = """
    for count in range(3):
        mine.send(json.dumps({"received": {"front": count}, "fault": "the disk"}).encode())
    """
    one, _ = process(OBEDIENT % tell)
    assert one.wait_ready()
    one.look()
    one._say({"anything": 1})
    end_s = time.monotonic() + 30.0
    while one.received != {"front": 2} and time.monotonic() < end_s:
        one.look()
    assert one.received == {"front": 2} and one.fault == "the disk"


def test_without_a_process_there_is_nothing_to_hear(process):
    one, _ = process(OBEDIENT % ANSWER)
    one.close()
    one.look()
    one.abort()
    assert one.stop().fault == "the process that writes pictures has ended"
    assert one.summary() is None
    assert not one.wait_ready(0.0)


def test_one_that_ends_again_and_again_is_begun_after_a_pause(process, tmp_path, monkeypatch):
    monkeypatch.setattr(camera_process, "FIRST_PAUSE_S", 1000.0)
    monkeypatch.setattr(camera_process, "LONGEST_PAUSE_S", 1500.0)
    one, complaints = process("import sys; sys.exit(2)")
    assert complaints.come.wait(30.0) and one.pause_s == 0.0
    complaints.come.clear()
    one.begin_again()
    assert complaints.come.wait(30.0) and one.pause_s > 900.0
    one.begin_again()
    with pytest.raises(UserError, match=r"2 times soon after its start: it begins again in \d+ s"):
        one.start(tmp_path, "episode_0001")
    assert len(complaints) == 2, "nobody began"
    monkeypatch.setattr(one, "_due_s", 0.0)
    complaints.come.clear()
    one.begin_again()
    assert complaints.come.wait(30.0) and len(complaints) == 3
    assert one.pause_s > 1400.0


def test_pauses_grow_and_one_that_went_on_well_ends_them(process, monkeypatch):
    pauses = [camera_process.pause_after(ends) for ends in range(1, 10)]
    assert pauses == [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    monkeypatch.setattr(camera_process, "WELL_S", 0.0)
    one, complaints = process("import sys; sys.exit(2)")
    for _ in range(3):
        assert complaints.come.wait(30.0) and one.pause_s == 0.0
        complaints.come.clear()
        one.begin_again()
