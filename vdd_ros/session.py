"""Session: what an operator may do with episodes, key by key; without terminal and without ROS.

    ready --start--> countdown --> recording --stop--> judged --save or discard--> ready

The recorder does what a step says and answers in a sentence. Nothing is discarded on one key alone,
and nothing is kept whose verdict nobody could see.
Others may serve the same recorder: what it says of itself is followed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from vdd_ros.episode_notes import SUCCESS
from vdd_ros.session_parts import NoteInHand, SavedCount, SeenVerdict


class Phase(Enum):
    READY = "ready"
    COUNTDOWN = "countdown"
    RECORDING = "recording"
    JUDGED = "judged"
    OVER = "over"


class Step(NamedTuple):
    """What is to be done: a command, note something for the episode, say something, or read a line
    from the operator, or note something else of a saved one. One of these is not empty."""

    # start, stop, save, discard or set_aside of the recorder; reset: set the scene back
    command: str = ""
    note: tuple[str, object] = ("", None)
    say: str = ""
    prompt: str = ""
    correct: tuple[str, str, object] = ("", "", None)  # likewise, of a saved episode by its name


KEYS = {
    "s": "start, or stop",
    "k": "keep: save the episode (a FAIL: twice); of one that goes on: stop it first",
    "d": "discard it (twice)",
    "r": "record it again: discard it (twice) and start",
    "a": "set it aside: no episode, but nothing is thrown away",
    "y": "label it a success (between episodes: the one saved last, twice)",
    "n": "label it a failure (likewise)",
    "o": "write a note",
    "b": "set the scene back",
    "q": "quit",
    "h": "these keys",
}
RECORDING = "recording: s stops"
JUDGED = "k keeps it, d discards it, r records it again, y and n label it"
TWICE = ("d", "r")
PAUSE_S = 0.4  # between the two: a key that is held down repeats faster
ASKS_FOR_S = 6.0  # a question that nobody answers is withdrawn
LABELS = ("y", "n")
BESIDE_A_NOTE = LABELS  # of buttons: they leave the note its episode, as stopping does
LEFT_ALONE = 2  # reports that differ from what was asked for, before they are believed
PHASES = {"idle": Phase.READY, "recording": Phase.RECORDING, "stopped": Phase.JUDGED}


@dataclass
class Session:
    """episodes: to save before the session is over, by whomever, 0: no end; countdown_s: between
    start and the first recorded moment [s]; sets_back: whether there is a service that sets the
    scene back, which is asked after every episode. Every method returns steps to do, in order."""

    episodes: int = 0
    countdown_s: float = 3.0
    sets_back: bool = False
    phase: Phase = Phase.READY
    asked: str = ""  # the key that has to come once more
    last_saved: str = ""  # the episode, as the recorder calls it
    _asked_s: float = 0.0
    _asked_of: str = ""  # the saved episode that the question is about
    _differs: int = 0
    _saved: SavedCount = field(default_factory=SavedCount)
    _note: NoteInHand = field(default_factory=NoteInHand)
    _then_start: bool = False
    _begins_s: float = 0.0
    _told_s: int = 0
    _verdict: SeenVerdict = field(default_factory=SeenVerdict)

    def greet(self) -> list[Step]:
        """The keys, and what is to be done."""
        return [Step(say=line) for line in (*self._help(), self._ready())]

    def key(self, key: str, now_s: float) -> list[Step]:
        """A key was pressed; other keys than KEYS are explained and change nothing."""
        key = key.lower()
        again = self.asked == key and PAUSE_S <= now_s - self._asked_s <= ASKS_FOR_S
        self.asked, self._asked_s = "", now_s
        if key not in KEYS:
            return [Step(say=f"{key!r} is no key; h shows them")]
        if key == "h":
            return [Step(say=line) for line in self._help()]
        if key == "q":
            return self._quit(again)
        if self.phase is Phase.COUNTDOWN:
            self.phase = Phase.READY
            return [Step(say=f"not started. {self._ready()}")]
        if key == "s":
            return self._start_or_stop(now_s)
        if key == "b":
            return self._set_back()
        if self.phase is Phase.READY and key in LABELS and self.last_saved:
            return self._correct(key, again)
        if self.phase is Phase.READY:
            return [Step(say=f"there is no episode yet. {self._ready()}")]
        if key == "k":
            return self._keep(again, now_s)
        if key == "a":
            return [Step(command="set_aside")]
        if key in TWICE and not again:
            self.asked = key
            what = KEYS[key].split(" (")[0]
            return [Step(say=f"{what}? press {key} again, not at once; any other key: no")]
        if key in TWICE:
            self._then_start = key == "r"
            return [Step(command="discard")]
        if key == "o":
            self._note.begin()
            return [Step(prompt="note: ")]
        return [Step(note=(SUCCESS, key == "y"))]

    def button(self, key: str, now_s: float) -> list[Step]:
        """A button that stands for a key was pressed. While a note is written it stops a recording
        or labels it; what would take the episode from the note has to come again, and is told."""
        stops = key == "s" and self.phase is Phase.RECORDING
        if self._note.is_written and not stops and key not in BESIDE_A_NOTE:
            return [Step(say=f"{key} is not done while a note is written: Enter, then once more")]
        return self.key(key, now_s)

    def line(self, text: str) -> list[Step]:
        """The operator wrote a note; an empty one is none, and no other episode gets it."""
        has_episode = self._note.end() and self.phase in (Phase.RECORDING, Phase.JUDGED)
        if not text.strip():
            return [Step(say="no note")]
        if not has_episode:
            return [Step(say="its episode is no longer in hand: the note is lost")]
        return [Step(note=("note", text.strip()))]

    def expire(self, now_s: float) -> list[Step]:
        """Time goes on: a question that nobody answered is withdrawn."""
        if not self.asked or now_s - self._asked_s <= ASKS_FOR_S:
            return []
        key, self.asked = self.asked, ""
        return [Step(say=f"{key} did not come again within {ASKS_FOR_S:.0f} s: nothing is done")]

    def tick(self, now_s: float) -> list[Step]:
        """Time goes on: the countdown, second by second, and the start at its end."""
        if self.phase is not Phase.COUNTDOWN:
            return []
        left_s = self._begins_s - now_s
        if left_s <= 0.0:
            self.phase = Phase.READY  # until the recorder has begun
            return [Step(command="start")]
        whole_s = int(-(-left_s // 1))
        if whole_s == self._told_s:
            return []
        self._told_s = whole_s
        return [Step(say=f"{whole_s} ...")]

    def postpone(self, now_s: float) -> None:
        """The scene is still being set back: a countdown begins when that is over."""
        self._begins_s = now_s + self.countdown_s

    def call_off(self) -> list[Step]:
        """The scene could not be set back: a countdown ends."""
        if self.phase is not Phase.COUNTDOWN:
            return []
        self.phase = Phase.READY
        return [Step(say=f"not started. {self._ready()}")]

    def report(
        self, state: str, episode: str = "", saved: int | None = None, verdict: str = ""
    ) -> list[Step]:
        """What the recorder says that it does, now and then while nothing is asked of it: it may
        have been started anew, served by somebody else, or have stopped at an almost full disk.
        episode: in hand or the last one; saved: how many it has saved since it began; verdict: of
        one that is stopped."""
        if self.phase is Phase.OVER:
            return []
        if state == "stopped" and verdict:
            self._verdict.take(verdict)
        others = 0 if saved is None else self._saved.others(saved)
        steps = [Step(say=f"saved by somebody else: {self._sum()}")] if others else []
        phase = PHASES.get(state)
        if phase in (Phase.RECORDING, Phase.JUDGED) and episode:
            self._note.follow(episode)
        if phase in (None, self.phase) or self.phase is Phase.COUNTDOWN:
            self._differs = 0
        else:
            self._differs += 1
        if phase is not None and self._differs >= LEFT_ALONE:
            self._differs, self.phase, self.asked = 0, phase, ""
            if phase is Phase.RECORDING:
                self._verdict = SeenVerdict()
            if phase is Phase.READY:
                self._note.lose()
            ready = self._ready()
            hint = {Phase.READY: ready, Phase.RECORDING: RECORDING, Phase.JUDGED: JUDGED}[phase]
            steps.append(Step(say=f"the recorder is {state} by itself. {hint}"))
        return [*steps, *self._end()]

    def answer(self, command: str, done: bool, now_s: float, told: str = "") -> list[Step]:
        """It was done, or not; told: the sentence of who did it, which has been shown already."""
        if command == "reset":
            return [] if done else self.call_off()
        if not done:
            self._then_start = False
            return []
        if command == "start":
            self._note.lose()
            self.phase, self._verdict = Phase.RECORDING, SeenVerdict()
            return [Step(say=RECORDING)]
        if command == "stop":
            self.phase = Phase.JUDGED
            self._verdict.take(told)
            self._verdict.show(now_s)
            return [Step(say=JUDGED)]
        if command == "save":
            self._saved.add_own()
        self._note.lose()
        self.phase = Phase.READY
        back = [Step(command="reset")] if self.sets_back else []
        if over := self._end():
            return [*over, *back]
        if self._then_start:
            self._then_start = False
            return [*self._count_down(now_s), *back]
        return [Step(say=self._ready()), *back]

    def left_s(self, now_s: float) -> float | None:
        """What is left of the countdown [s], None where nothing is counted down."""
        return max(0.0, self._begins_s - now_s) if self.phase is Phase.COUNTDOWN else None

    def withdraw(self) -> None:
        """What has to come once more does not come."""
        self.asked = ""

    @property
    def saved(self) -> int:
        """Episodes saved in this session, by whomever."""
        return self._saved.total

    @property
    def is_over(self) -> bool:
        return self.phase is Phase.OVER

    def _start_or_stop(self, now_s: float) -> list[Step]:
        if self.phase is Phase.RECORDING:
            return [Step(command="stop")]
        if self.phase is Phase.JUDGED:
            return [Step(say="keep (k) or discard (d) this one first")]
        return self._count_down(now_s)

    def _keep(self, again: bool, now_s: float) -> list[Step]:
        """What nobody has seen the verdict of is not saved: an episode that goes on is stopped, and
        a FAIL is asked about."""
        if self.phase is Phase.RECORDING:
            self._verdict.is_to_be_seen = True
            return [Step(command="stop")]
        if not self._verdict.is_seen(now_s, PAUSE_S):
            return [Step(say="look at the verdict, then press k again")]
        if self._verdict.is_good or again:
            return [Step(command="save")]
        self.asked = "k"
        verdict = "failed" if self._verdict.level else "is not judged"
        return [Step(say=f"it {verdict}. keep it? press k again, not at once; any other key: no")]

    def _correct(self, key: str, again: bool) -> list[Step]:
        """A label of the episode that was saved last; it is asked by name, as none is in hand."""
        name = self.last_saved
        if again and self._asked_of == name:
            return [Step(correct=(name, SUCCESS, key == "y"))]
        self.asked, self._asked_of = key, name
        what = "a success" if key == "y" else "a failure"
        return [
            Step(say=f"{name}, which is saved, {what}? press {key} again, not at once; others: no")
        ]

    def _count_down(self, now_s: float) -> list[Step]:
        self.phase, self._told_s = Phase.COUNTDOWN, 0
        self.postpone(now_s)
        return []

    def _set_back(self) -> list[Step]:
        if self.phase is not Phase.READY:
            return [Step(say="the scene is set back between episodes")]
        if not self.sets_back:
            return [Step(say="no service sets the scene back: name some in `reset`")]
        return [Step(command="reset")]

    def _end(self) -> list[Step]:
        """The session is over when all are saved and none is in hand."""
        idle = self.phase in (Phase.READY, Phase.COUNTDOWN)
        if not self.episodes or self.saved < self.episodes or not idle:
            return []
        self.phase = Phase.OVER
        return [Step(say=f"all {self.episodes} are saved: the session is over")]

    def _quit(self, again: bool) -> list[Step]:
        if self.phase in (Phase.RECORDING, Phase.JUDGED) and not again:
            self.asked = "q"
            return [Step(say="keep (k) or discard (d) it first; q again leaves it to the recorder")]
        self.phase = Phase.OVER
        return [Step(say=f"{self.saved} saved in this session")]

    def _ready(self) -> str:
        return f"set the scene back, then s starts ({self._sum()})"

    def _sum(self) -> str:
        more = max(0, self.episodes - self.saved)
        return f"{self.saved} saved" + (f", {more} more to save" if self.episodes else "")

    def _help(self) -> list[str]:
        return [f"  {key}  {what}" for key, what in KEYS.items()]
