"""Calls: what is asked of a recorder and of who sets the scene back, by services (std_srvs/Trigger)
whose answers nobody waits for."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from rclpy.client import Client
from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import Trigger

COMMANDS = ("start", "stop", "save", "discard", "set_aside")  # of a recorder
PATIENCE_S = 60.0  # with a service: a long episode takes a while to be judged

Then = Callable[[bool, str], None]  # whether it was done, and the sentence


class Call(NamedTuple):
    """A service that was asked: until when, and who is to know."""

    client: Client
    future: Future
    until_s: float
    then: Then


class Calls:
    """Those that have not been answered yet. Use `ask` and, several times a second, `look`."""

    def __init__(self, node: Node, recorder: str, resets: Sequence[str]):
        """recorder: name of its node; resets: services that set the scene back."""
        made = {name: node.create_client(Trigger, f"{recorder}/{name}") for name in COMMANDS}
        self._commands = made
        self._resets = [node.create_client(Trigger, name) for name in resets]
        self._open: list[Call] = []

    def __len__(self) -> int:
        return len(self._open)

    def ask(self, command: str, then: Then) -> None:
        """Ask for one of COMMANDS, or for a `reset`; `then` is told what became of it, also where
        nobody answers."""
        if command == "reset":
            self._ask_resets(then)
        else:
            self._ask(self._commands[command], then)

    def _ask(self, client: Client, then: Then) -> None:
        if not client.service_is_ready():
            then(False, f"{client.service_name} is not there: is its node running?")
            return
        future = client.call_async(Trigger.Request())
        self._open.append(Call(client, future, time.monotonic() + PATIENCE_S, then))
        future.add_done_callback(self._on_response)

    def _ask_resets(self, then: Then) -> None:
        """All at once."""
        left, faults = [len(self._resets)], []

        def one(name: str, done: bool, told: str) -> None:
            left[0] -= 1
            if not done:
                faults.append(told or f"{name} refuses")
            if left[0] == 0:
                refused = f"the scene was not set back: {'; '.join(faults)}"
                then(not faults, refused if faults else "the scene is set back")

        for client in self._resets:
            self._ask(client, partial(one, client.service_name))

    def look(self, now_s: float) -> None:
        """Give up what takes too long."""
        for call in [call for call in self._open if now_s > call.until_s]:
            self._open.remove(call)
            call.client.remove_pending_request(call.future)
            call.then(False, f"{call.client.service_name} does not answer")

    def _on_response(self, future: Future) -> None:
        asked = [call for call in self._open if call.future is future]
        if not asked:  # it was given up
            return
        self._open.remove(asked[0])
        response = future.result()
        assert response is not None
        asked[0].then(response.success, response.message)
