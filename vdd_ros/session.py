"""Session: what an operator may do with episodes, key by key; without terminal and without ROS.

    ready --start--> countdown --> recording --stop--> judged --save or discard--> ready

The recorder does what a step says and answers in a sentence. Nothing is discarded on one key alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple


class Phase(Enum):
    READY = "ready"
    COUNTDOWN = "countdown"
    RECORDING = "recording"
    JUDGED = "judged"
    OVER = "over"


class Step(NamedTuple):
    """What is to be done: ask the recorder for a command, note something for the episode, say
    something, or read a line from the operator. One of these is not empty."""

    command: str = ""  # start, stop, save or discard
    note: tuple[str, object] = ("", None)
    say: str = ""
    prompt: str = ""


KEYS = {
    "s": "start, or stop",
    "k": "keep: save the episode",
    "d": "discard it (twice)",
    "r": "record it again: discard it (twice) and start",
    "y": "label it a success",
    "n": "label it a failure",
    "o": "write a note",
    "q": "quit",
    "h": "these keys",
}
RECORDING = "recording: s stops"
JUDGED = "k keeps it, d discards it, r records it again, y and n label it"
TWICE = ("d", "r")
PAUSE_S = 0.4  # between the two: a key that is held down repeats faster
LEFT_ALONE = 2  # reports that differ from what was asked for, before they are believed
PHASES = {"idle": Phase.READY, "recording": Phase.RECORDING, "stopped": Phase.JUDGED}


@dataclass
class Session:
    """episodes: to save before the session is over, 0: no end; countdown_s: between start and the
    first recorded moment [s]. Every method returns steps to do, in order."""

    episodes: int = 0
    countdown_s: float = 3.0
    phase: Phase = Phase.READY
    saved: int = 0
    _asked: str = ""  # the key that has to come once more
    _asked_s: float = 0.0
    _differs: int = 0
    _then_start: bool = False
    _begins_s: float = 0.0
    _told_s: int = 0

    def greet(self) -> list[Step]:
        """The keys, and what is to be done."""
        return [Step(say=line) for line in (*self._help(), self._ready())]

    def key(self, key: str, now_s: float) -> list[Step]:
        """A key was pressed; other keys than KEYS are explained and change nothing."""
        key = key.lower()
        again = self._asked == key and now_s - self._asked_s >= PAUSE_S
        self._asked, self._asked_s = "", now_s
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
        if self.phase is Phase.READY:
            return [Step(say=f"there is no episode yet. {self._ready()}")]
        if key == "k":
            return [Step(command="save")]
        if key in TWICE and not again:
            self._asked = key
            what = KEYS[key].split(" (")[0]
            return [Step(say=f"{what}? press {key} again, not at once; any other key: no")]
        if key in TWICE:
            self._then_start = key == "r"
            return [Step(command="discard")]
        if key == "o":
            return [Step(prompt="note: ")]
        return [Step(note=("success", key == "y"))]

    def line(self, text: str) -> list[Step]:
        """The operator wrote a note; an empty one is none."""
        if not text.strip():
            return [Step(say="no note")]
        if self.phase not in (Phase.RECORDING, Phase.JUDGED):
            return [Step(say="there is no episode any more: the note is lost")]
        return [Step(note=("note", text.strip()))]

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

    def report(self, state: str) -> list[Step]:
        """What the recorder says that it does, now and then while nothing is asked of it: it may
        have been started anew, served by somebody else, or have stopped at an almost full disk."""
        phase = PHASES.get(state)
        if phase in (None, self.phase) or self.phase in (Phase.COUNTDOWN, Phase.OVER):
            self._differs = 0
            return []
        self._differs += 1
        if self._differs < LEFT_ALONE:
            return []
        self._differs, self.phase, self._asked = 0, phase, ""
        hint = {Phase.READY: self._ready(), Phase.RECORDING: RECORDING, Phase.JUDGED: JUDGED}[phase]
        return [Step(say=f"the recorder is {state} by itself. {hint}")]

    def answer(self, command: str, done: bool, now_s: float) -> list[Step]:
        """The recorder did as it was asked, or not; its sentence has been shown already."""
        if not done:
            self._then_start = False
            return []
        if command == "start":
            self.phase = Phase.RECORDING
            return [Step(say=RECORDING)]
        if command == "stop":
            self.phase = Phase.JUDGED
            return [Step(say=JUDGED)]
        self.saved += command == "save"
        self.phase = Phase.READY
        if self.episodes and self.saved >= self.episodes:
            self.phase = Phase.OVER
            return [Step(say=f"all {self.episodes} are saved: the session is over")]
        if self._then_start:
            self._then_start = False
            return self._count_down(now_s)
        return [Step(say=self._ready())]

    def left_s(self, now_s: float) -> float | None:
        """What is left of the countdown [s], None where nothing is counted down."""
        return max(0.0, self._begins_s - now_s) if self.phase is Phase.COUNTDOWN else None

    def withdraw(self) -> None:
        """What has to come once more does not come."""
        self._asked = ""

    @property
    def asks(self) -> bool:
        """Whether discarding has been asked for once."""
        return self._asked in TWICE

    @property
    def is_over(self) -> bool:
        return self.phase is Phase.OVER

    def _start_or_stop(self, now_s: float) -> list[Step]:
        if self.phase is Phase.RECORDING:
            return [Step(command="stop")]
        if self.phase is Phase.JUDGED:
            return [Step(say="keep (k) or discard (d) this one first")]
        return self._count_down(now_s)

    def _count_down(self, now_s: float) -> list[Step]:
        self.phase, self._told_s = Phase.COUNTDOWN, 0
        self.postpone(now_s)
        return []

    def _quit(self, again: bool) -> list[Step]:
        if self.phase in (Phase.RECORDING, Phase.JUDGED) and not again:
            self._asked = "q"
            return [Step(say="keep (k) or discard (d) it first; q again leaves it to the recorder")]
        self.phase = Phase.OVER
        return [Step(say=f"{self.saved} saved in this session")]

    def _ready(self) -> str:
        more = f", {self.episodes - self.saved} more to save" if self.episodes else ""
        return f"set the scene back, then s starts ({self.saved} saved{more})"

    def _help(self) -> list[str]:
        return [f"  {key}  {what}" for key, what in KEYS.items()]
