"""Scripts: what a node does step by step, as a generator that yields what it waits for."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar

from rclpy.node import Node
from rclpy.task import Future

from vdd_ros.errors import UserError

Question = Callable[[], bool]
Awaited = Future | Question  # a service's answer, which comes back, or a yes to a question
Result = TypeVar("Result")
Script = Generator[Awaited, Any, Result]


class ScriptRunner:
    """Runs a script in a node's callbacks, without a thread of its own.

    exit_code: None until the script is over, then 0, or 1 where it ended in a UserError, which is
    logged.
    """

    def __init__(self, node: Node, script: Script[None]):
        self.exit_code: int | None = None
        self._logger = node.get_logger()
        self._script = script
        self._question: Question | None = lambda: True

    def ask(self) -> None:
        """Go on if the script waits for a question and the answer is yes; call it when the answer
        may have changed."""
        if self._question is not None and self._question():
            self._go_on()

    def _go_on(self, answer: object = None) -> None:
        self._question = None
        try:
            awaited = self._script.send(answer)
        except StopIteration:
            self.exit_code = 0
        except UserError as error:
            self._logger.error(str(error))
            self.exit_code = 1
        else:
            self._wait_for(awaited)

    def _wait_for(self, awaited: Awaited) -> None:
        if isinstance(awaited, Future):
            awaited.add_done_callback(lambda future: self._go_on(future.result()))
        else:
            self._question = awaited
