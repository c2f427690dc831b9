"""PageModel: what the page shows, and what its buttons may do; without server and without ROS.

It has an operator's `Session`, as the terminal has: the same countdown, the same second question
before anything is discarded, or kept that failed. Several browsers see one and the same.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.page.orders import ANYTIME, Order
from vdd_ros.session import Phase, Session, Step
from vdd_ros.session_parts import whole_number

SILENT_S = 3.5  # after which a node that reports once a second is not there
FORGOTTEN_S = 60.0
MOST_NODES = 64
LONGEST = 400  # characters of what others say
CONFIRMS_S = 2.5  # within which the recorder says that it has noted something
LINES = 50
KEYS = {"discard": "d", "again": "r", "success": "y", "failure": "n", "save": "k", "aside": "a"}
QUESTIONS = {KEYS[action]: action for action in ("discard", "again", "save")}
IDLE = "idle"  # the recorder's state between episodes


class Report(NamedTuple):
    """What a node said of itself last. level: ok, warn, error or stale; at_s: when it came."""

    level: str
    message: str
    values: dict[str, str]
    at_s: float


@dataclass
class PageModel:
    """recorder: its node's name in diagnostics; times are seconds of one steady clock; episodes:
    how many are to be saved while the page is served, 0: no end. It goes on when they are.

    `take` and `answered` return steps that are to be done: commands and notes, in order.
    """

    contract: Contract
    recorder: str
    session: Session
    episodes: int = 0
    reports: dict[str, Report] = field(default_factory=dict)
    sources: dict[str, list[str]] = field(default_factory=dict)  # stream -> who publishes
    busy: str = ""  # the command that has not been answered yet, or `note`
    _said: deque[dict[str, str]] = field(default_factory=lambda: deque(maxlen=LINES))
    _note: tuple[str, object] = ("", None)  # that the recorder has not confirmed yet
    _noted_s: float = 0.0

    def take(self, order: Order, now_s: float) -> list[Step]:
        """A button was pressed; raises UserError with the reason why nothing is done."""
        if self.busy:
            raise UserError(f"{self.busy} has not been answered yet")
        if self._heard(now_s) is None:
            raise UserError("the recorder is not there: is its node running?")
        if order.action not in ANYTIME and order.episode != self.episode:
            raise UserError(f"{order.episode or 'this episode'} is no longer in hand")
        steps = self._wanted(self._steps(order, now_s))
        for step in steps:
            self._note, self._noted_s = step.note, now_s
        return steps

    def tick(self, now_s: float, at: str) -> list[Step]:
        """Time goes on: the countdown, and questions that nobody answers."""
        if self._note[0] and now_s - self._noted_s > CONFIRMS_S:
            self.lost_note("the recorder does not confirm it", at)
        if self.busy:
            if self.busy == "reset":
                self.session.postpone(now_s)
            return []
        for step in self.session.expire(now_s):
            self.say(step.say, "warn", at)
        return self._wanted(self.session.tick(now_s))

    def answered(self, command: str, done: bool, told: str, now_s: float, at: str) -> list[Step]:
        """A command was done or not, in the words of who did it; `at`: time of day, for people."""
        self.busy = ""
        self.say(told, "ok" if done else "error", at)
        return self._wanted(self.session.answer(command, done, now_s, told))

    def report(self, name: str, report: Report, at: str) -> None:
        """A node's diagnostics came."""
        before = self.reports.get(name)
        for old in [n for n, r in self.reports.items() if report.at_s - r.at_s > FORGOTTEN_S]:
            del self.reports[old]
        if name != self.recorder:
            if before is not None or len(self.reports) < MOST_NODES:
                self.reports[name] = report._replace(message=report.message[:LONGEST], values={})
            return
        self.reports[name] = report
        if report.level == "error" and (before is None or before.message != report.message):
            self.say(report.message, "error", at)
        if not self.busy:
            told = report.values
            count = whole_number(told.get("saved", ""))
            self.session.report(told.get("state", ""), saved=count, verdict=told.get("verdict", ""))
        name, value = self._note
        if name and self.marks.get(name) == value:
            self._note, self.busy = ("", None), ""
            self.say(f"noted {name}: {value}", "ok", at)

    def lost_note(self, why: str, at: str) -> None:
        """What was to be noted is perhaps not noted."""
        self.say(f"perhaps not noted, {self._note[0]}: {why}", "error", at)
        self._note, self.busy = ("", None), ""

    @property
    def marks(self) -> dict[str, object]:
        """Success and note of the episode in hand, as the recorder has them."""
        try:
            meta = json.loads(self._value("meta") or "{}")
        except (ValueError, RecursionError):
            return {}
        if not isinstance(meta, dict):
            return {}
        kinds = {"success": bool, "note": str}
        return {
            name: meta[name] for name, kind in kinds.items() if isinstance(meta.get(name), kind)
        }

    def say(self, text: str, level: str, at: str) -> None:
        """A line for everybody who looks."""
        self._said.append({"at": at, "level": level, "text": text})

    @property
    def episode(self) -> str:
        """Name of the episode in hand, empty between episodes."""
        return "" if self._value("state") == IDLE else self._value("episode")

    def snapshot(self, now_s: float) -> dict:
        """What browsers show, as plain JSON."""
        report = self._heard(now_s)
        values = {} if report is None else report.values
        return {
            "task": self.contract.name,
            "there": report is not None,
            "state": values.get("state", ""),
            "phase": self.session.phase.value,
            "countdown_s": self.session.left_s(now_s),
            "asks": QUESTIONS.get(self.session.asked, ""),
            "sets_back": self.session.sets_back,
            "busy": self.busy,
            "episode": self.episode,
            "elapsed_s": number(values.get("elapsed_s")),
            "verdict": values.get("verdict", ""),
            "marks": self.marks,
            "free_mib": number(values.get("free_mib")),
            "minutes_left": number(values.get("minutes_left")),
            "saved": self.session.saved,
            "more": max(0, self.episodes - self.session.saved) if self.episodes else None,
            "left_over": values.get("left_over", "")[:LONGEST],
            "streams": [self._stream(name, values) for name in self.contract.sources],
            "nodes": self._nodes(now_s),
            "said": list(self._said),
        }

    def _steps(self, order: Order, now_s: float) -> list[Step]:
        phase, session = self.session.phase, self.session
        if order.action == "start":
            if phase is not Phase.READY:
                raise UserError(f"not started: it is {phase.value} already")
            return session.key("s", now_s)
        if order.action == "cancel":
            session.withdraw()
            return session.call_off()
        if order.action == "reset":
            return self._set_back(now_s)
        if phase not in (Phase.RECORDING, Phase.JUDGED):
            raise UserError("there is no episode in hand")
        if order.action == "stop":
            if phase is not Phase.RECORDING:
                raise UserError("it has been stopped already")
            return session.key("s", now_s)
        if order.action == "note":
            before = self.marks.get("note")
            return session.line(f"{before}; {order.text.strip()}" if before else order.text)
        if order.action == "confirm":
            if session.asked not in QUESTIONS:
                raise UserError("nobody asks any more: press the button again")
            return session.key(session.asked, now_s)
        if order.action in QUESTIONS.values():
            session.withdraw()  # two people who ask once each have not asked twice
        return session.key(KEYS[order.action], now_s)

    def _set_back(self, now_s: float) -> list[Step]:
        steps = self.session.key("b", now_s) if self.session.phase is Phase.READY else []
        if not any(step.command for step in steps):
            raise UserError("the scene is set back between episodes, by what `reset` names")
        return steps

    def _wanted(self, steps: list[Step]) -> list[Step]:
        """Without what is said for a terminal with its keys."""
        wanted = [step for step in steps if step.command or step.note[0]]
        if wanted:
            self.busy = wanted[0].command or "note"
        return wanted

    def _value(self, name: str) -> str:
        """What the recorder said last."""
        report = self.reports.get(self.recorder)
        return "" if report is None else report.values.get(name, "")

    def _heard(self, now_s: float) -> Report | None:
        """The recorder's last report, unless it is too old."""
        report = self.reports.get(self.recorder)
        return None if report is None or now_s - report.at_s > SILENT_S else report

    def _stream(self, name: str, values: dict[str, str]) -> dict:
        """What comes of a stream or camera."""
        stream, limits = self.contract.sources[name], self.contract.recording
        rate, age = number(values.get(f"{name}_hz")), number(values.get(f"{name}_age_s"))
        wanted = {*(part.stream for part in self.contract.observation), *self.contract.cameras}
        observed = name in wanted
        if rate is None:
            level = "unknown"
        elif rate == 0.0:
            level = "error" if observed else "idle"
        else:
            level = level_of_rate(rate / stream.rate_hz, limits.rate_warn, limits.rate_fail)
        return {
            "name": name,
            "topic": stream.topic,
            "rate_hz": rate,
            "declared_hz": stream.rate_hz,
            "age_s": age,
            "max_age_s": stream.max_age_s,
            "level": level,
            "from": self.sources.get(name, []),
        }

    def _nodes(self, now_s: float) -> list[dict]:
        return [
            {
                "name": name,
                "level": report.level if now_s - report.at_s <= SILENT_S else "stale",
                "message": report.message,
            }
            for name, report in sorted(self.reports.items())
        ]


def level_of_rate(share: float, warn: float, fail: float) -> str:
    """How good a share of the declared rate is, as the verdict will see it."""
    return "error" if share < fail else "warn" if share < warn else "ok"


def number(text: str | None) -> float | None:
    """A finite number that a node told as text."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None
