"""operator_node at a real terminal (a pty), with a real recorder: episodes by keys and buttons."""

from __future__ import annotations

import os
import pty
import subprocess
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from harness import CONTRACT_PATH, environment, node_command, running_node, wait_for
from robots import moving_arm
from sensor_msgs.msg import Joy
from std_srvs.srv import Trigger

from vdd_ros.episode import EpisodeStore
from vdd_ros.part import left_overs
from vdd_ros.session import PAUSE_S

SOON_S = 40.0


class Operator:
    """A person at the terminal."""

    def __init__(self, terminal: int):
        self._terminal, self.screen = terminal, ""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            while part := os.read(self._terminal, 4096):
                self.screen += part.decode(errors="replace")
        except OSError:  # the other end is closed
            pass

    def press(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def sees(self, text: str) -> None:
        """Waits until it is on the screen, below what was seen last."""
        wait_for(lambda: text in self.screen, f"{text!r} on the screen", SOON_S)
        self.screen = self.screen.split(text, 1)[1]


@contextmanager
def operator(domain: int, ends: int = 0, **parameters: object) -> Iterator[Operator]:
    """At a terminal that is given back as it was when the node ends, with that exit code."""
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    command = node_command("operator_node", {"countdown": 0.0, **parameters})
    process = subprocess.Popen(
        command, env=environment(domain), stdin=theirs, stdout=theirs, stderr=theirs
    )
    person = Operator(ours)
    try:
        yield person
        assert process.wait(SOON_S) == ends
        assert termios.tcgetattr(theirs) == before
    finally:
        print(person.screen)  # shown where a test fails
        process.kill()
        process.wait()
        os.close(theirs)


@pytest.fixture(scope="module")
def demos(folder):
    (folder / "demos").mkdir()
    return folder / "demos"


@pytest.fixture(scope="module", autouse=True)
def recorder(domain, observer, demos):
    """A recorder, and an arm with its commands, which go on all the time."""
    parameters = {"contract": CONTRACT_PATH, "directory": demos}
    with running_node("recorder_node", domain, parameters), moving_arm(observer):
        yield


@pytest.fixture
def store(demos) -> EpisodeStore:
    return EpisodeStore(demos)


def test_episodes_by_keys(domain, store):
    before = set(store.list())
    with operator(domain, episodes=2) as person:
        person.sees("s starts (0 saved, 2 more to save)")
        wait_until_taken(person)
        person.press("o")
        person.sees("note: ")
        person.press("a cab\x7fn fell\n")
        person.sees("noted note: a can fell")
        person.press("s")
        person.sees("stopped episode_")
        person.press("ny")
        keep(person)
        person.sees("s starts (1 saved, 1 more to save)")
        person.press("s")
        person.sees("recording: s stops")
        person.press("sd")
        person.sees("discard it? press d again")
        time.sleep(PAUSE_S)
        person.press("d")
        person.sees("discarded episode_")
        person.press("s")
        person.sees("recording: s stops")
        person.press("\x1bOS\x1b[D")  # F4 and an arrow are no letters
        person.press("s")
        person.sees("k keeps it")
        keep(person)
        person.sees("all 2 are saved: the session is over")
    new = sorted(set(store.list()) - before)
    assert len(new) == 2
    first = store.load(new[0]).manifest.meta
    assert (first["success"], first["note"]) == (True, "a can fell")


def test_episodes_by_buttons_and_a_scene_that_sets_itself_back(domain, observer, store):
    before, resets = set(store.list()), []

    def set_back(_, response):
        resets.append(time.monotonic())
        response.success = True
        return response

    service = observer.node.create_service(Trigger, "scene/reset", set_back)
    joy = observer.node.create_publisher(Joy, "joy", 10)

    def button(number: int) -> None:
        for held in (1, 1, 0):  # held down, it is pressed once
            joy.publish(Joy(axes=[], buttons=[held if at == number else 0 for at in range(4)]))

    parameters = {"buttons": "'s:0 k:3'", "reset": "scene/reset"}
    with operator(domain, **parameters) as person:
        wait_for(joy.get_subscription_count, "the operator's gamepad")
        person.sees("s starts (0 saved)")
        wait_until_taken(person, lambda: button(0))
        button(0)
        person.sees("stopped episode_")
        keep(person, lambda: button(3))
        person.sees("s starts (1 saved)")
        person.sees("the scene is set back")
        assert len(resets) == 1
        person.press("b")
        person.sees("the scene is set back")
        assert len(resets) == 2
        person.press("q")
    assert len(set(store.list()) - before) == 1
    observer.node.destroy_service(service)


def test_the_label_of_the_episode_that_was_saved_last_is_corrected_by_keys(domain, store):
    before = set(store.list())
    with operator(domain) as person:
        person.sees("s starts (0 saved)")
        wait_until_taken(person)
        person.press("sy")
        person.sees("noted success: True")
        keep(person)
        person.sees("s starts (1 saved)")
        (name,) = set(store.list()) - before

        def is_asked() -> bool:  # for this one, once the recorder has told of it
            person.screen = ""
            person.press("hn")
            answers = ("there is no episode yet", "which is saved, a failure? press n again")
            wait_for(lambda: any(one in person.screen for one in answers), "an answer", SOON_S)
            return f"{name}, which is saved, a failure? press n again" in person.screen

        wait_for(is_asked, "a question", SOON_S)
        time.sleep(PAUSE_S)
        person.press("n")
        person.sees(f"{name}: a failure from now on")
        person.press("q")
    assert store.load(name).manifest.meta["success"] is False


def test_a_recorder_that_was_served_by_somebody_else_is_followed(domain, observer):
    with operator(domain) as person:
        person.sees("s starts (0 saved)")
        wait_until_taken(person)
        assert observer.call(Trigger, "/recorder_node/stop").success
        person.sees("the recorder is stopped by itself. k keeps it")
        assert observer.call(Trigger, "/recorder_node/discard").success
        person.sees("the recorder is idle by itself. set the scene back")
        person.press("q")


def test_what_somebody_else_saves_counts_and_ends_the_session(domain, observer, store):
    before = store.list()
    with operator(domain, episodes=2) as person:
        person.sees("s starts (0 saved, 2 more to save)")
        wait_until_taken(person)
        person.press("k")  # it stops first
        person.sees("k keeps it")
        time.sleep(PAUSE_S)
        keep(person)
        person.sees("s starts (1 saved, 1 more to save)")
        for command in ("start", "save"):
            assert observer.call(Trigger, f"/recorder_node/{command}").success
        person.sees("saved by somebody else: 2 saved, 0 more to save")
        person.sees("all 2 are saved: the session is over")
    assert len(store.list()) == len(before) + 2


def test_a_button_during_a_note_is_told_and_the_note_goes_on(domain, observer, store):
    joy = observer.node.create_publisher(Joy, "joy", 10)

    def button(number: int) -> None:
        for held in (1, 0):
            joy.publish(Joy(axes=[], buttons=[held if at == number else 0 for at in range(4)]))

    with operator(domain, buttons="'s:0 k:3'") as person:
        wait_for(joy.get_subscription_count, "the operator's gamepad")
        person.sees("s starts (0 saved)")
        wait_until_taken(person)
        person.press("o")
        person.sees("note: ")
        person.press("skid ")
        person.sees("skid ")
        button(3)
        person.sees("k is not done while a note is written: Enter, then once more")
        person.sees("note: skid ")
        button(0)  # stopping leaves the episode in hand
        person.sees("stopped episode_")
        person.sees("note: skid ")
        person.press("marks\n")
        person.sees("noted note: skid marks")
        keep(person, lambda: button(3))
        person.sees("s starts (1 saved)")
        person.press("q")
    assert store.load(store.list()[-1]).manifest.meta["note"] == "skid marks"


def test_one_is_set_aside_by_a_key_and_what_is_left_over_is_told(domain, store, demos):
    before = store.list()
    with operator(domain) as person:
        person.sees("s starts (0 saved)")
        wait_until_taken(person)
        person.press("a")
        told = f"1 recording was never saved: `vdd dataset recover {demos}`"
        wait_for(
            lambda: "is set aside: " in person.screen and told in person.screen, "both", SOON_S
        )
        person.press("q")
    assert store.list() == before and len(left_overs(demos)) == 1


def test_nothing_starts_without_a_recorder(domain):
    with operator(domain, recorder="nobody") as person:
        person.sees("s starts (0 saved)")
        person.press("s")
        person.sees("nobody/start is not there: is its node running?")
        person.press("q")


def test_buttons_that_stand_for_nothing_are_refused(domain):
    with operator(domain, ends=2, buttons="'s:0 x:1'") as person:
        person.sees("buttons has 'x:1'; write KEY:BUTTON")


def keep(person: Operator, press=None) -> None:
    """Keeps the episode in hand, also one that a busy machine made a FAIL."""
    press = press or (lambda: person.press("k"))
    press()
    wait_for(
        lambda: "saved /" in person.screen or "press k again" in person.screen, "an answer", SOON_S
    )
    if "saved /" not in person.screen:
        time.sleep(PAUSE_S)
        press()
    person.sees("saved /")


def wait_until_taken(person: Operator, start=None) -> None:
    """Starts an episode, again and again until the recorder has been discovered."""

    def taken() -> bool:
        (start or (lambda: person.press("s")))()
        wait_for(
            lambda: "recording: s stops" in person.screen or "is not there" in person.screen,
            "an answer",
            SOON_S,
        )
        found = "recording: s stops" in person.screen
        person.screen = ""
        return found

    wait_for(taken, "a recording", SOON_S)
