"""PlanningThread: plans that take longer than a control tick, made beside the ticks.

The control loop leaves a question and looks for the answer at later ticks; it never waits. A plan
begins at the tick of its window, so what has become old meanwhile is behind it when it comes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import NamedTuple

from vdd_ros.planner import Plan

Question = Callable[[], Plan]


class Answer(NamedTuple):
    """plan: None where there is none, because of `fault`."""

    plan: Plan | None
    fault: str = ""


class PlanningThread:
    """Calls each question, which may raise anything, one after another."""

    def __init__(self) -> None:
        self._questions: SimpleQueue[Question | None] = SimpleQueue()
        self._answers: SimpleQueue[Answer] = SimpleQueue()
        self._open = 0  # questions that are not answered yet
        self._to_forget = 0  # of them, those that nobody wants an answer to any more
        self._thread = threading.Thread(target=self._run, name="planning", daemon=True)
        self._thread.start()

    @property
    def idle(self) -> bool:
        """Whether a question would be taken up at once."""
        return self._open == 0

    def ask(self, question: Question) -> None:
        """Leave a question."""
        self._open += 1
        self._questions.put(question)

    def answer(self) -> Answer | None:
        """The answer to the oldest open question, None while there is none."""
        while not self._answers.empty():
            found = self._answers.get_nowait()
            self._open -= 1
            if not self._to_forget:
                return found
            self._to_forget -= 1
        return None

    def forget(self) -> None:
        """No answer to what was asked so far is wanted."""
        self._to_forget = self._open

    def close(self) -> None:
        """End the thread, after the question that it is at."""
        self._questions.put(None)

    def _run(self) -> None:
        while (question := self._questions.get()) is not None:
            try:
                self._answers.put(Answer(question()))
            except Exception as error:  # whatever it was, the loop is told, and may ask again
                self._answers.put(Answer(None, repr(error)))
