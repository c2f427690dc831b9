"""PlanningThread: networks that take longer than a control tick, evaluated beside the ticks.

The control loop asks with a window and looks for the answer at later ticks; it never waits. A plan
begins at the tick of its window, so what has become old meanwhile is behind it when it comes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import NamedTuple

from vdd_ros.acting import Choices
from vdd_ros.inference import PolicyOutput
from vdd_ros.stream import Window


class Answer(NamedTuple):
    """output and choices: None where the policy failed; infer_s: seconds that it took; fault: why
    it failed."""

    window: Window
    output: PolicyOutput | None
    choices: Choices | None
    infer_s: float
    fault: str = ""


Evaluate = Callable[[Window], tuple[PolicyOutput, Choices]]


class PlanningThread:
    """evaluate: called in the thread with each window that is asked with; may raise anything."""

    def __init__(self, evaluate: Evaluate):
        self._evaluate = evaluate
        self._questions: SimpleQueue[Window | None] = SimpleQueue()
        self._answers: SimpleQueue[Answer] = SimpleQueue()
        self._open = 0  # questions that are not answered yet
        self._to_forget = 0  # of them, those that nobody wants an answer to any more
        self._thread = threading.Thread(target=self._run, name="planning", daemon=True)
        self._thread.start()

    @property
    def idle(self) -> bool:
        """Whether a question would be taken up at once."""
        return self._open == 0

    def ask(self, window: Window) -> None:
        """Leave a question."""
        self._open += 1
        self._questions.put(window)

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
        while (window := self._questions.get()) is not None:
            begin = time.perf_counter()
            try:
                output, choices = self._evaluate(window)
            except Exception as error:  # whatever it was, the loop is told, and may ask again
                seconds = time.perf_counter() - begin
                self._answers.put(Answer(window, None, None, seconds, repr(error)))
                continue
            self._answers.put(Answer(window, output, choices, time.perf_counter() - begin))
