"""What the page shows and what its buttons may do, against a recorder that does as it is told."""

from __future__ import annotations

import json

import pytest
from pictures import contract_with
from recordings import CONTRACT

from vdd_ros.errors import UserError
from vdd_ros.page.model import CONFIRMS_S, MOST_NODES, SILENT_S, PageModel, Report
from vdd_ros.page.orders import LONGEST_NOTE, Order
from vdd_ros.session import ASKS_FOR_S, PAUSE_S, Session, Step

AT = "12:00:00"


class Recorder:
    """Does what the model's steps say, and reports as recorder_node does."""

    def __init__(self, countdown_s: float = 2.0, sets_back: bool = False, contract=CONTRACT):
        self.model = PageModel(contract, "recorder_node", Session(0, countdown_s, sets_back))
        self.sets_back_slowly = False
        self.now_s, self.state, self.number = 0.0, "idle", 0
        self.done: list[str] = []
        self.meta: dict[str, object] = {}
        self.hears, self.level = True, "PASS"
        self.report()

    @property
    def episode(self) -> str:
        return f"episode_{self.number:04d}" if self.state != "idle" else ""

    def report(self, level: str = "ok", message: str = "", **values: object) -> None:
        told = {"state": self.state, "episode": f"episode_{self.number:04d}"}
        told |= {name: str(value) for name, value in values.items()}
        told |= {"meta": json.dumps(self.meta)} if self.state != "idle" else {}
        report = Report(level, message or self.state, told, self.now_s)
        self.model.report("recorder_node", report, AT)

    def press(self, action: str, text: str = "", episode: str | None = None) -> None:
        shown = self.model.episode if episode is None else episode
        self.do(self.model.take(Order(action=action, episode=shown, text=text), self.now_s))

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self.now_s += 0.1
            self.report()
            self.do(self.model.tick(self.now_s, AT))

    def do(self, steps) -> None:
        for step in steps:
            if step.command:
                self._command(step.command)
            elif self.hears:
                self.meta |= dict([step.note])
                self.report()

    def _command(self, command: str) -> None:
        assert self.model.busy == command
        self.done.append(command)
        if command == "reset":
            if not self.sets_back_slowly:
                self.set_back(True)
            return
        if command == "start":
            self.number, self.meta = self.number + 1, {}
        self.state = {"start": "recording", "stop": "stopped"}.get(command, "idle")
        self.report(verdict=self.level if self.state == "stopped" else "")
        told = f"{command} done" + (f", {self.level}" if self.state == "stopped" else "")
        self.do(self.model.answered(command, True, told, self.now_s, AT))

    def set_back(self, done: bool) -> None:
        told = "the scene is set back" if done else "the scene was not set back: it is stuck"
        self.do(self.model.answered("reset", done, told, self.now_s, AT))

    @property
    def shown(self) -> dict:
        return json.loads(json.dumps(self.model.snapshot(self.now_s)))


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def recording(recorder) -> Recorder:
    recorder.press("start")
    recorder.wait(2.2)
    assert recorder.state == "recording"
    return recorder


def test_what_is_left_to_save_is_told_whoever_saves_and_the_page_goes_on(recorder):
    assert (recorder.shown["saved"], recorder.shown["more"]) == (0, None)
    recorder.model.episodes = 2
    recorder.report(saved=5)  # before the page was there
    assert (recorder.shown["saved"], recorder.shown["more"]) == (0, 2)
    recorder.press("start")
    recorder.wait(2.2)
    recorder.press("stop")
    recorder.press("save")
    recorder.report(saved=6)  # the same one
    assert (recorder.shown["saved"], recorder.shown["more"]) == (1, 1)
    recorder.report(saved="9" * 5000)  # no count of anybody
    assert recorder.shown["saved"] == 1
    recorder.report(saved=8)  # by somebody else
    assert (recorder.shown["saved"], recorder.shown["more"]) == (3, 0)
    recorder.press("start")
    assert recorder.shown["phase"] == "countdown"


def test_an_episode_is_counted_down_recorded_labelled_judged_and_kept(recorder):
    recorder.press("start")
    assert recorder.shown["phase"] == "countdown" and recorder.shown["countdown_s"] == 2.0
    recorder.wait(0.5)
    assert recorder.done == [] and recorder.shown["countdown_s"] == pytest.approx(1.5)
    recorder.wait(2.0)
    assert (recorder.shown["phase"], recorder.shown["episode"]) == ("recording", "episode_0001")
    recorder.press("failure")
    recorder.press("note", "  the cup slipped ")
    recorder.press("note", "and fell")
    recorder.press("success")
    assert recorder.shown["marks"] == {"success": True, "note": "the cup slipped; and fell"}
    recorder.press("stop")
    assert (recorder.shown["phase"], recorder.shown["verdict"]) == ("judged", "PASS")
    recorder.press("save")
    assert recorder.done == ["start", "stop", "save"]
    assert (recorder.shown["phase"], recorder.shown["marks"]) == ("ready", {})
    assert recorder.shown["said"][-1]["text"] == "save done"


def test_keeping_what_goes_on_stops_it_first(recording):
    recording.press("save")
    assert recording.done == ["start", "stop"] and recording.shown["phase"] == "judged"
    recording.now_s += 1.1 * PAUSE_S
    recording.press("save")
    assert recording.done == ["start", "stop", "save"]


def test_keeping_a_failed_one_is_asked_about(recording):
    recording.level = "FAIL: joint_state was silent"
    recording.press("stop")
    for _ in range(2):  # two people who ask once each have not asked twice
        recording.wait(1.0)
        recording.press("save")
    assert recording.shown["asks"] == "save" and recording.done == ["start", "stop"]
    recording.wait(1.0)
    recording.press("confirm")
    assert recording.done == ["start", "stop", "save"]


def test_one_is_set_aside_and_what_is_left_over_is_told(recording):
    recording.press("aside")
    assert recording.done == ["start", "set_aside"] and recording.shown["phase"] == "ready"
    assert recording.shown["left_over"] == ""
    recording.report(left_over="1 recording was never saved: `vdd dataset recover x`")
    assert recording.shown["left_over"].startswith("1 recording was never saved")


def test_a_countdown_can_be_called_off(recorder):
    recorder.press("start")
    recorder.wait(1.0)
    recorder.press("cancel")
    recorder.wait(3.0)
    assert recorder.done == [] and recorder.shown["phase"] == "ready"


def test_nothing_is_discarded_on_one_press(recording):
    recording.press("discard")
    assert recording.shown["asks"] and recording.done == ["start"]
    recording.press("discard")  # somebody else asks for the first time
    assert recording.shown["asks"] and recording.done == ["start"]
    recording.press("confirm")  # at once: one press of a button that changed under the finger
    assert recording.done == ["start"]
    recording.wait(PAUSE_S + 0.1)
    recording.press("confirm")
    assert recording.done == ["start", "discard"] and not recording.shown["asks"]


def test_a_question_ends_with_no_with_another_button_and_by_itself(recording):
    recording.press("discard")
    recording.press("cancel")
    assert not recording.shown["asks"] and recording.state == "recording"
    with pytest.raises(UserError, match="nobody asks any more"):
        recording.press("confirm")
    recording.press("discard")
    recording.press("success")
    assert not recording.shown["asks"]
    recording.press("discard")
    recording.wait(ASKS_FOR_S + 0.2)
    assert not recording.shown["asks"] and "discard" not in recording.done
    assert recording.shown["said"][-1]["text"].startswith("d did not come again within")


def test_recording_again_discards_on_a_second_press_and_starts_once_the_scene_is_set_back():
    recorder = Recorder(sets_back=True)
    recorder.press("start")
    recorder.wait(2.2)
    recorder.press("again")
    assert recorder.shown["asks"] == "again" and recorder.done == ["start"]
    recorder.press("discard")  # another question, of which no is not yet said
    assert recorder.shown["asks"] == "discard"
    recorder.press("again")
    recorder.wait(PAUSE_S + 0.1)
    recorder.sets_back_slowly = True
    recorder.press("confirm")
    assert recorder.done == ["start", "discard", "reset"]
    recorder.wait(5.0)
    assert recorder.shown["busy"] == "reset" and recorder.shown["phase"] == "countdown"
    with pytest.raises(UserError, match="reset has not been answered yet"):
        recorder.press("start")
    recorder.set_back(True)
    recorder.wait(1.5)
    assert recorder.done[-1] == "reset"  # the countdown began when the scene was set back
    recorder.wait(0.7)
    assert recorder.done[-1] == "start"


def test_nothing_begins_in_a_scene_that_could_not_be_set_back():
    recorder = Recorder(sets_back=True)
    recorder.press("start")
    recorder.wait(2.2)
    recorder.sets_back_slowly = True
    recorder.press("again")
    recorder.wait(PAUSE_S + 0.1)
    recorder.press("confirm")
    recorder.set_back(False)
    recorder.wait(3.0)
    assert recorder.shown["phase"] == "ready" and recorder.done[-1] == "reset"
    assert recorder.shown["said"][-1]["level"] == "error"
    recorder.sets_back_slowly = False
    recorder.press("reset")  # once more, by the button
    assert recorder.done[-2:] == ["reset", "reset"]
    assert recorder.shown["said"][-1]["text"] == "the scene is set back"


def test_a_scene_is_set_back_between_episodes_only_and_by_services_only(recorder):
    assert not recorder.shown["sets_back"]
    with pytest.raises(UserError, match="by what `reset` names"):
        recorder.press("reset")
    recorder = Recorder(sets_back=True)
    recorder.press("start")
    recorder.wait(2.2)
    with pytest.raises(UserError, match="between episodes"):
        recorder.press("reset")
    recorder.press("stop")
    recorder.press("save")
    assert recorder.done == ["start", "stop", "save", "reset"]


@pytest.mark.parametrize(
    "action", ["stop", "save", "discard", "confirm", "success", "failure", "note"]
)
def test_a_press_that_comes_late_means_no_other_episode(recording, action):
    recording.press("stop")
    recording.press("save")
    with pytest.raises(UserError, match="episode_0001 is no longer in hand"):
        recording.press(action, "text", episode="episode_0001")
    with pytest.raises(UserError, match="there is no episode in hand"):
        recording.press(action, "text")
    assert recording.done == ["start", "stop", "save"] and recording.meta == {}


def test_what_does_not_fit_is_refused_in_a_sentence(recording):
    with pytest.raises(UserError, match="not started: it is recording already"):
        recording.press("start")
    recording.press("stop")
    with pytest.raises(UserError, match="stopped already"):
        recording.press("stop")
    recording.model.busy = "save"
    with pytest.raises(UserError, match="has not been answered yet"):
        recording.press("save")


def test_a_note_comes_before_the_command_that_ends_its_episode(recording):
    recording.hears = False
    recording.press("note", "the cup slipped")
    with pytest.raises(UserError, match="has not been answered yet"):
        recording.press("stop")
    recording.hears = True
    recording.do([Step(note=("note", "the cup slipped"))])
    assert recording.shown["said"][-1]["text"] == "noted note: the cup slipped"
    recording.press("stop")
    assert recording.done == ["start", "stop"]


def test_a_note_that_is_not_confirmed_is_told_and_does_not_stand_in_the_way(recording):
    recording.hears = False
    recording.press("success")
    recording.wait(CONFIRMS_S + 0.2)
    assert "perhaps not noted, success" in recording.shown["said"][-1]["text"]
    assert recording.shown["marks"] == {}
    recording.press("stop")
    assert recording.done == ["start", "stop"]


def test_a_recorder_that_is_gone_is_seen_and_not_asked(recorder):
    assert recorder.shown["there"]
    recorder.now_s += SILENT_S + 0.1
    assert not recorder.shown["there"] and recorder.shown["state"] == ""
    with pytest.raises(UserError, match="recorder is not there"):
        recorder.press("start")


def test_what_others_do_is_followed(recorder):
    recorder.state, recorder.number = "recording", 5
    recorder.wait(0.3)
    assert (recorder.shown["phase"], recorder.shown["episode"]) == ("recording", "episode_0005")
    recorder.press("stop")
    assert recorder.done == ["stop"]


def test_streams_are_judged_by_their_rates_as_the_verdict_will_do(recorder):
    recorder.report(
        joint_state_hz=0.0, teleop_command_hz=80.0, robot_command_hz=99.0, robot_command_age_s=0.004
    )
    streams = {stream["name"]: stream for stream in recorder.shown["streams"]}
    levels = {name: stream["level"] for name, stream in streams.items()}
    assert levels == {
        "joint_state": "error",  # it is observed
        "teleop_command": "warn",
        "policy_command": "unknown",
        "robot_command": "ok",
    }
    assert streams["robot_command"]["age_s"] == 0.004
    recorder.report(teleop_command_hz=0.0, robot_command_hz=20.0, policy_command_hz="nan")
    levels = {stream["name"]: stream["level"] for stream in recorder.shown["streams"]}
    assert levels["teleop_command"] == "idle" and levels["robot_command"] == "error"
    assert levels["policy_command"] == "unknown"


def test_cameras_are_shown_beside_the_streams():
    recorder = Recorder(contract=contract_with())
    recorder.report(joint_state_hz=200.0, front_hz=7.0, front_age_s=0.2, wrist_hz=30.0)
    found = {one["name"]: one for one in recorder.shown["streams"]}
    assert {*found} == {*recorder.model.contract.streams, "front", "wrist"}
    assert (found["front"]["level"], found["wrist"]["level"]) == ("error", "ok")
    assert found["front"]["age_s"] == 0.2 and found["front"]["declared_hz"] == 30.0


@pytest.mark.parametrize("meta", ["{", "[1]", "3", "[" * 100_000, '{"success": 1, "note": []}'])
def test_marks_that_are_none_are_not_shown(recording, meta):
    recording.model.reports["recorder_node"].values["meta"] = meta
    assert recording.shown["marks"] == {}


def test_faults_are_said_once(recorder):
    for _ in range(3):
        recorder.report("error", "recording, writing failed: No space left on device")
    said = [line for line in recorder.shown["said"] if line["level"] == "error"]
    assert len(said) == 1


def test_other_nodes_are_shown_but_not_without_end(recorder):
    for number in range(3 * MOST_NODES):
        report = Report("warn", "x" * 10_000, {"a": "b" * 10_000}, recorder.now_s)
        recorder.model.report(f"node{number}", report, AT)
    assert len(recorder.shown["nodes"]) == MOST_NODES
    assert "recorder_node" in {node["name"] for node in recorder.shown["nodes"]}
    assert len(json.dumps(recorder.shown)) < 60_000


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "EOF"),
        (b"[]", "the order"),
        (b'{"action": "format"}', "action"),
        (b'{"action": "start", "colour": 1}', "colour"),
        (b'{"action": "start", "episode": 7}', "episode"),
        (b'{"action": "note", "text": "' + b"a" * (LONGEST_NOTE + 1) + b'"}', "text"),
        (b"[" * 10_000, "recursion"),
        (b'{"action": "\xff"}', "the order"),
    ],
)
def test_orders_are_checked_before_anything_looks_at_them(body, sentence):
    with pytest.raises(UserError, match=sentence) as found:
        Order.read(body)
    assert len(str(found.value)) <= 300
