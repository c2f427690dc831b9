"""An operator's session: every key in every phase, and nothing is lost by one of them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdd_ros.session import ASKS_FOR_S, KEYS, LEFT_ALONE, PAUSE_S, Phase, Session, Step


class Recorder:
    """Does what a session says, as the recorder's services would, and remembers it."""

    def __init__(self, session: Session):
        self.session, self.now_s = session, 0.0
        self.saved, self.discarded, self.aside, self.resets, self.said = 0, 0, 0, 0, []
        self.notes: list[tuple[str, object]] = []
        self.corrections: list[tuple[str, str, object]] = []
        self.state, self.level = "idle", "PASS"
        self.refuses: set[str] = set()
        self.do(session.greet())

    def press(self, keys: str) -> None:
        for key in keys:
            self.do(self.session.key(key, self.now_s))

    def press_twice(self, key: str) -> None:
        self.press(key)
        self.now_s += 1.1 * PAUSE_S
        self.press(key)

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self.now_s += 0.1
            self.do(self.session.expire(self.now_s))
            self.do(self.session.tick(self.now_s))

    def do(self, steps: list[Step]) -> None:
        for step in steps:
            if step.command:
                self._command(step.command)
            elif step.note[0]:
                assert self.state != "idle"
                self.notes.append(step.note)
            elif step.correct[0]:
                self.corrections.append(step.correct)
            elif step.say:
                self.said.append(step.say)

    def _command(self, command: str) -> None:
        if command == "reset":
            assert self.state == "idle"
            self.resets += 1
            self.do(self.session.answer(command, command not in self.refuses, self.now_s))
            return
        allowed = {"start": ("idle",), "stop": ("recording",)}
        fits = self.state in allowed.get(command, ("recording", "stopped"))
        assert fits, f"{command} while {self.state}"
        done = command not in self.refuses
        if done:
            self.state = {"start": "recording", "stop": "stopped"}.get(command, "idle")
            self.saved += command == "save"
            self.discarded += command == "discard"
            self.aside += command == "set_aside"
        told = f"stopped episode_0001 after 1.0 s, {self.level}: why" if command == "stop" else ""
        self.do(self.session.answer(command, done, self.now_s, told))


@pytest.fixture
def recorder() -> Recorder:
    return Recorder(Session(countdown_s=2.0))


def test_an_episode_is_counted_down_recorded_judged_labelled_and_kept(recorder):
    recorder.press("s")
    assert recorder.session.phase is Phase.COUNTDOWN
    recorder.wait(1.5)
    assert recorder.state == "idle" and recorder.said[-2:] == ["2 ...", "1 ..."]
    recorder.wait(1.0)
    assert recorder.state == "recording"
    recorder.press("s")
    assert recorder.session.phase is Phase.JUDGED
    recorder.press("y")
    recorder.press("o")
    recorder.do(recorder.session.line("  the cup slipped "))
    recorder.press("k")
    assert recorder.notes == [("success", True), ("note", "the cup slipped")]
    assert (recorder.saved, recorder.session.saved) == (1, 1)
    assert recorder.said[-1] == "set the scene back, then s starts (1 saved)"


def test_any_key_ends_a_countdown(recorder):
    recorder.press("sk")
    recorder.wait(5.0)
    assert recorder.state == "idle" and recorder.session.phase is Phase.READY


def test_discarding_asks_twice_and_another_key_is_a_no(recorder):
    recorder.press("s")
    recorder.wait(3.0)
    recorder.press("sd")
    assert recorder.said[-1] == "discard it? press d again, not at once; any other key: no"
    recorder.press("hd")
    assert recorder.discarded == 0
    recorder.now_s += 1.1 * PAUSE_S
    recorder.press("d")
    assert recorder.discarded == 1 and recorder.state == "idle"


def test_a_key_that_is_held_down_discards_nothing(recorder):
    recorder.press("s")
    recorder.wait(3.0)
    for _ in range(100):
        recorder.press("d")
        recorder.now_s += 0.03
    assert recorder.discarded == 0


def test_recording_again_discards_and_starts(recorder):
    recorder.press("s")
    recorder.wait(3.0)
    recorder.press_twice("r")
    assert recorder.session.phase is Phase.COUNTDOWN and recorder.discarded == 1
    recorder.wait(3.0)
    assert recorder.state == "recording"


def test_a_session_is_over_when_all_are_saved():
    recorder = Recorder(Session(episodes=2, countdown_s=0.0))
    assert recorder.said[-1].endswith("(0 saved, 2 more to save)")
    recorder.press("s")
    recorder.wait(0.1)
    recorder.press("sk")
    assert not recorder.session.is_over and recorder.said[-1].endswith("(1 saved, 1 more to save)")
    recorder.press("s")
    recorder.wait(0.1)
    recorder.press("sk")
    assert recorder.session.is_over and recorder.saved == 2


def test_nobody_quits_with_an_episode_in_hand(recorder):
    recorder.press("s")
    recorder.wait(3.0)
    recorder.press("q")
    assert not recorder.session.is_over and "q again leaves it" in recorder.said[-1]
    recorder.press("skq")
    assert recorder.session.is_over and recorder.said[-1] == "1 saved in this session"


def test_what_the_recorder_refuses_changes_nothing(recorder):
    recorder.refuses = {"start"}
    recorder.press("s")
    recorder.wait(3.0)
    assert recorder.session.phase is Phase.READY
    recorder.refuses = {"save"}
    recorder.press("s")
    recorder.wait(3.0)
    recorder.press("sk")
    assert recorder.session.phase is Phase.JUDGED and recorder.session.saved == 0


def test_an_episode_can_be_left_to_the_recorder(recorder):
    recorder.press("s")
    recorder.wait(3.0)
    recorder.press_twice("q")
    assert recorder.session.is_over and recorder.state == "recording"


@pytest.mark.parametrize(
    ("state", "phase"),
    [("idle", Phase.READY), ("stopped", Phase.JUDGED), ("recording", Phase.RECORDING)],
)
def test_a_recorder_that_does_something_else_is_followed(recorder, state, phase):
    """It was started anew, or the disk is almost full; a report from before is not believed."""
    recorder.press("s")
    recorder.wait(3.0)
    recorder.do(recorder.session.report(state))
    assert recorder.session.phase is Phase.RECORDING
    recorder.do(recorder.session.report("recording"))
    for _ in range(LEFT_ALONE):
        recorder.do(recorder.session.report(state))
    assert recorder.session.phase is phase


def test_nothing_starts_before_the_scene_is_set_back(recorder):
    recorder.press("s")
    for _ in range(50):
        recorder.now_s += 0.1
        recorder.session.postpone(recorder.now_s)
    recorder.wait(1.5)
    assert recorder.state == "idle"
    recorder.do(recorder.session.call_off())
    recorder.wait(5.0)
    assert recorder.state == "idle" and recorder.said[-1].startswith("not started")


@pytest.mark.parametrize("key", ["d", "r", "q"])
def test_a_key_that_has_to_come_twice_is_forgotten_after_a_while_and_that_is_told(recorder, key):
    recorder.press("s")
    recorder.wait(3.0)
    recorder.press(key)
    recorder.wait(ASKS_FOR_S + 0.2)
    assert recorder.said[-1].startswith(f"{key} did not come again within")
    recorder.press(key)
    assert recorder.discarded == 0 and recorder.state == "recording"
    recorder.now_s += ASKS_FOR_S + 0.2  # and where nobody looked at the clock meanwhile
    recorder.press(key)
    assert recorder.discarded == 0 and not recorder.session.is_over
    recorder.now_s += 1.1 * PAUSE_S
    recorder.press(key)
    assert recorder.discarded == (key != "q") and recorder.session.is_over == (key == "q")


def test_episodes_that_somebody_else_saves_count_each_once():
    recorder = Recorder(Session(episodes=5, countdown_s=0.0))
    session = recorder.session

    def report(saved: int) -> None:
        recorder.do(session.report(recorder.state, "episode_0009", saved))

    report(7)  # before this session
    assert session.saved == 0
    report(8)
    assert recorder.said[-1] == "saved by somebody else: 1 saved, 4 more to save"
    recorder.press("s")
    recorder.wait(0.1)
    recorder.press("sk")
    report(8)  # sent before the recorder had saved it
    report(9)
    assert session.saved == 2 == recorder.saved + 1
    report(0)  # it was started anew
    report(1)
    assert session.saved == 3
    recorder.press("s")
    recorder.wait(0.1)
    report(3)
    assert session.saved == 5 and not session.is_over  # one is in hand
    recorder.press_twice("d")
    assert session.is_over and recorder.said[-1] == "all 5 are saved: the session is over"


def test_a_session_ends_with_the_last_episode_of_somebody_else():
    recorder = Recorder(Session(episodes=1))
    recorder.do(recorder.session.report("idle", "", 0))
    recorder.press("s")
    recorder.do(recorder.session.report("idle", "episode_0001", 1))
    assert recorder.session.is_over
    recorder.wait(5.0)
    assert recorder.state == "idle"


def test_while_a_note_is_written_buttons_stop_and_label_and_nothing_else(recorder):
    def push(keys: str) -> None:
        for key in keys:
            recorder.do(recorder.session.button(key, recorder.now_s))
            recorder.now_s += 1.1 * PAUSE_S

    push("s")
    recorder.wait(3.0)
    recorder.press("o")
    for key in "kaddrroqqbh":
        push(key)
        assert (
            recorder.said[-1] == f"{key} is not done while a note is written: Enter, then once more"
        )
    push("sy")
    assert recorder.state == "stopped" and recorder.notes == [("success", True)]
    push("s")
    assert recorder.said[-1].startswith("s is not done")
    recorder.do(recorder.session.line("the cup slipped"))
    assert recorder.notes[-1] == ("note", "the cup slipped")
    push("k")
    assert recorder.saved == 1


def test_a_note_is_for_the_episode_that_it_was_begun_for(recorder):
    recorder.press("s")
    recorder.wait(3.0)
    recorder.press("o")  # the recorder has not said yet what it is called
    recorder.do(recorder.session.report("recording", "episode_0004", 0))
    recorder.do(recorder.session.line("the cup slipped"))
    assert recorder.notes == [("note", "the cup slipped")]
    recorder.press("o")  # meanwhile somebody else saves it and starts another
    recorder.do(recorder.session.report("recording", "episode_0005", 1))
    recorder.do(recorder.session.line("and fell"))
    assert recorder.said[-1] == "its episode is no longer in hand: the note is lost"
    recorder.press("o")
    recorder.do(recorder.session.line("this one went well"))
    assert recorder.notes == [("note", "the cup slipped"), ("note", "this one went well")]


def test_a_scene_is_set_back_after_every_episode_and_by_its_key():
    recorder = Recorder(Session(countdown_s=0.0, sets_back=True))
    recorder.press("b")
    assert recorder.resets == 1
    recorder.press("s")
    recorder.wait(0.1)
    recorder.press("b")
    assert recorder.resets == 1 and recorder.said[-1] == "the scene is set back between episodes"
    recorder.press("sk")
    assert recorder.resets == 2
    recorder.refuses = {"reset"}
    recorder.press("s")
    recorder.wait(0.1)
    recorder.press_twice("r")
    recorder.wait(1.0)
    assert recorder.resets == 3 and recorder.state == "idle"
    assert recorder.said[-1].startswith("not started")


def test_without_services_the_key_says_what_is_missing(recorder):
    recorder.press("b")
    assert recorder.said[-1] == "no service sets the scene back: name some in `reset`"


def test_a_note_for_an_episode_that_is_gone_is_told(recorder):
    assert recorder.session.line("late")[0].say.endswith("the note is lost")
    assert recorder.session.line("   ")[0].say == "no note"


def recording(session: Session, level: str = "PASS") -> Recorder:
    recorder = Recorder(session)
    recorder.level = level
    recorder.press("s")
    recorder.wait(3.0)
    assert recorder.state == "recording"
    return recorder


def test_keeping_what_goes_on_stops_it_and_asks():
    recorder = recording(Session())
    recorder.press("k")
    assert recorder.state == "stopped" and recorder.saved == 0 and "k keeps it" in recorder.said[-1]
    recorder.now_s += 1.1 * PAUSE_S
    recorder.press("k")
    assert recorder.saved == 1


@pytest.mark.parametrize("level", ["PASS", "FAIL"])
def test_a_key_that_is_held_down_keeps_nothing(level):
    recorder = recording(Session(), level)
    for _ in range(100):
        recorder.press("k")
        recorder.now_s += 0.03
    assert recorder.state == "stopped" and recorder.saved == 0


@pytest.mark.parametrize("level", ["FAIL", ""])
@pytest.mark.parametrize("how", ["key", "button"])
def test_what_failed_or_was_not_judged_is_kept_by_two_presses_only(level, how):
    recorder = recording(Session(), level)

    def push(key: str) -> None:
        recorder.now_s += 1.1 * PAUSE_S
        recorder.do(getattr(recorder.session, how)(key, recorder.now_s))

    for key in "skhk":  # another key is a no
        push(key)
    assert recorder.saved == 0 and "keep it? press k again" in recorder.said[-1]
    push("k")
    assert recorder.saved == 1


def test_the_verdict_of_one_that_somebody_else_stopped_is_known():
    recorder = recording(Session())
    recorder.state = "stopped"
    for _ in range(LEFT_ALONE):
        recorder.do(recorder.session.report("stopped", "episode_0001", 0, "WARN: short"))
    recorder.press("k")
    assert recorder.saved == 1
    recorder.press("s")
    recorder.wait(3.1)
    recorder.state = "stopped"
    for _ in range(LEFT_ALONE):  # and of the next one it is not that of the first
        recorder.do(recorder.session.report("stopped", "episode_0002", 1))
    recorder.press("k")
    assert recorder.saved == 1


@pytest.mark.parametrize("stopped", [True, False])
def test_setting_aside_takes_one_key_and_throws_nothing_away(stopped):
    recorder = recording(Session())
    recorder.press("sa" if stopped else "a")
    assert (recorder.aside, recorder.saved, recorder.discarded) == (1, 0, 0)
    assert recorder.session.phase is Phase.READY


@given(keys=st.text(alphabet=[*KEYS, "x", "S"], max_size=60), waits=st.integers(0, 3))
def test_whatever_is_pressed_episodes_are_only_asked_for_what_can_be(keys, waits):
    """The recorder of this file fails at a command that does not fit; a discard takes two keys."""
    recorder = Recorder(Session(countdown_s=1.0))
    for key in keys:
        if recorder.session.is_over:
            break
        recorder.press(key)
        recorder.wait(0.6 * waits)
    assert recorder.saved == recorder.session.saved
    assert recorder.discarded <= sum(a == b and a in "dr" for a, b in pairwise(keys))


def test_the_label_of_a_saved_episode_is_asked_for_by_its_name(recorder):
    recorder.press_twice("n")
    assert "there is no episode yet" in recorder.said[-1] and not recorder.corrections
    recorder.session.last_saved = "episode_0007"
    recorder.press("n")
    assert "episode_0007, which is saved, a failure? press n again" in recorder.said[-1]
    recorder.press("nh")  # held down, and another one: no
    assert not recorder.corrections
    recorder.press_twice("n")
    assert recorder.corrections == [("episode_0007", "success", False)] and not recorder.notes


def test_an_answer_is_not_for_an_episode_that_was_not_asked_about(recorder):
    recorder.session.last_saved = "episode_0007"
    recorder.press("y")
    recorder.now_s += 1.1 * PAUSE_S
    recorder.session.last_saved = "episode_0008"  # of somebody else, meanwhile
    recorder.press("y")
    assert not recorder.corrections and "episode_0008, which is saved" in recorder.said[-1]
    recorder.now_s += 1.1 * PAUSE_S
    recorder.press("y")
    assert recorder.corrections == [("episode_0008", "success", True)]
